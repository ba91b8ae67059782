import pytest
import torch
from torch import nn

from twinsight.training import estimate
from twinsight.training.estimate import Cost, cost, largest_batch


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
    each = cost(stack, lambda stack, batch: stack(torch.zeros(batch, 10)).sum(), optimizer_slots=1)
    assert each.per_image == 4 * (10 + 20 + 5)  # the input, and what each tanh gives: kept once though used twice
    assert each.fixed == 4 * (10 * 20 + 20 * 5) * 3  # weights, gradients, momentum
    assert each.memory(8) == each.fixed + 8 * each.per_image


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


@pytest.mark.parametrize(("free", "most", "expected"), [(1000, 100, 8), (1000, 6, 4), (1300, 100, 16), (0, 100, 2)])
def test_largest_batch(monkeypatch, free, most, expected):
    monkeypatch.setattr(estimate, "available_memory", lambda: free)
    assert largest_batch(Cost(0, 0, 0.0, fixed=200, per_image=50), most) == expected


def test_some_memory_is_free():
    assert estimate.available_memory() > 2**20
