import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from twinsight.backbones.backbone import Backbone
from twinsight.training import estimate
from twinsight.training.blocks import checkpoint_blocks
from twinsight.training.estimate import Cost, cost, largest_batch, tensor_bytes


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(4 * 6 * 5, 7, bias=False),
    )  # fmt: skip


def loss_of(network, batch):
    return network(torch.zeros(batch, 3, 6, 5)).sum()


def test_operations_of_a_known_network(network):
    conv, linear = 6 * 5 * 4 * 3 * 9, 4 * 6 * 5 * 7
    each = cost(network, loss_of)
    # A multiply-add is two; backward repeats each once for the weights, and once for the input where it is
    # not the images.
    assert each.flops == 2 * (2 * conv + 3 * linear)
    assert each.parameters == each.trainable == 4 * 3 * 9 + 2 * 4 + linear


def test_frozen_weights_cost_no_backward(network):
    network[:2].requires_grad_(False)
    each = cost(network, loss_of)
    assert each.flops == 2 * (6 * 5 * 4 * 3 * 9 + 2 * 4 * 6 * 5 * 7)
    assert each.trainable == 4 * 6 * 5 * 7


def test_memory_of_a_known_stack():
    stack = nn.Sequential(nn.Linear(10, 20, bias=False), nn.Tanh(), nn.Linear(20, 5, bias=False), nn.Tanh())
    weights = 10 * 20 + 20 * 5
    for batch in (50, 100):
        found = tensor_bytes(stack, lambda stack, batch: stack(torch.zeros(batch, 10)).sum(), batch, optimizer_slots=1)
        # The fullest moment is the first tanh's backward: it holds the input, what that tanh gave, the gradient with
        # respect to it and the one that it makes. There are weights, momentum, the gradient of the second weights, and
        # the loss with its own.
        assert found == 4 * (2 * weights + 20 * 5 + 2 + batch * (10 + 3 * 20))


def test_gradients_of_the_update_before_are_still_there():
    stack = nn.Sequential(nn.Linear(1000, 1000, bias=False), nn.Tanh(), nn.Linear(1000, 1, bias=False))
    weights = 1000 * 1000 + 1000
    found = tensor_bytes(stack, lambda stack, batch: stack(torch.zeros(batch, 1000)).sum(), 2)
    # Weights, Adam's two numbers, gradients; and at the tanh the input, what it is given and what it gives.
    assert found == 4 * (4 * weights + 2 * 3000)


@pytest.mark.parametrize("again", [False, True])
def test_memory_is_what_a_step_takes(again):
    torch.manual_seed(0)
    backbone = Backbone("test_vit", img_size=32)
    if again:
        checkpoint_blocks(backbone)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for parameter in backbone.parameters():
            parameter.grad = torch.empty_like(parameter)
        loss = backbone(torch.zeros(64, 3, 32, 32)).square().sum()
        backbone.zero_grad()
        loss.backward()
    alive = peak = 0
    for event in profiler.profiler.kineto_results.events():  # pyright: ignore[reportOptionalMemberAccess]
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    weights = sum(t.numel() * t.element_size() for t in (*backbone.parameters(), *backbone.buffers()))
    found = tensor_bytes(backbone, lambda model, batch: model(torch.zeros(batch, 3, 32, 32)).square().sum(), 64, 0)
    assert found - weights == pytest.approx(peak, rel=0.1)


def test_memory_of_many_parts_follows_from_few():
    """Measured at 2 and 4 parts, extrapolated, and beside the measurement of 6."""
    vit = Backbone("vit-pytorch", image_size=32, patch_size=8, dim=32, depth=1, heads=2, mlp_dim=64)
    model = nn.Sequential(vit, nn.Linear(32, 256), nn.Tanh(), nn.Linear(256, 8))

    def loss(model, batch):
        return model(torch.zeros(batch, 3, 32, 32)).square().sum()

    with estimate.imagined(model) as shadow:
        expected = estimate.peak_bytes(shadow, loss, 8, 6)
    found = tensor_bytes(model, loss, 8, 0, 6)
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    assert found - weights == pytest.approx(expected, rel=0.02)
    assert found < 0.7 * tensor_bytes(model, loss, 48, 0)


def test_mixed_precision_takes_less():
    backbone = Backbone("test_vit", img_size=32)

    def loss(model, batch):
        return model(torch.zeros(batch, 3, 32, 32)).square().sum()

    assert tensor_bytes(backbone, loss, 64, autocast=torch.bfloat16) < 0.9 * tensor_bytes(backbone, loss, 64)


def test_nothing_is_left_behind(network):
    network[1].eval()
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    weights = {name: value.clone() for name, value in network.named_parameters()}
    modes = [module.training for module in network.modules()]
    network[1].train()
    modes[2] = True
    random = torch.get_rng_state()
    cost(network, loss_of)
    assert all(torch.equal(value, buffers[name]) for name, value in network.named_buffers())
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(("free", "most", "expected"), [(700, 100, 8), (700, 6, 4), (1200, 100, 16), (0, 100, 2)])
def test_largest_batch(free, most, expected):
    assert largest_batch(Cost(0, 0, 0.0, fixed=200, per_image=50), most, free) == expected
