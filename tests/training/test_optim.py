import math
from copy import deepcopy

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.training.optim import Optimization

SMALL = {"image_size": 16, "patch_size": 8, "dim": 8, "depth": 3, "heads": 1, "mlp_dim": 8}


@pytest.fixture(scope="module")
def vit():
    return Backbone("vit_tiny_patch16_224")


def assigned(groups, module):
    """Name -> (rate, weight decay) of every parameter in the groups."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    found = [(names[p], (group["lr"], group["weight_decay"])) for group in groups for p in group["params"]]
    assert len(found) == len(dict(found))
    return dict(found)


def test_what_decays(vit):
    found = assigned(Optimization(lr=1.0, weight_decay=0.1).groups(vit), vit)
    assert set(found) == {name for name, _ in vit.named_parameters()}
    kept = {name for name, (_, decay) in found.items() if decay == 0}
    assert {
        "network.pos_embed",
        "network.cls_token",
        "network.norm.weight",
        "network.patch_embed.proj.bias",
    } <= kept
    assert all(name in kept for name in found if name.endswith("bias") or ".norm" in name)
    weights = {name for name in found if name.endswith((".qkv.weight", ".proj.weight", "fc1.weight", "fc2.weight"))}
    assert set(found) - kept == weights


@pytest.mark.parametrize(
    ("name", "options", "exempt"),
    [
        ("vit-pytorch", SMALL, {"vit.cls_token", "vit.pos_embedding"}),
        ("vit_small_patch14_reg4_dinov2", {"img_size": 28}, {"cls_token", "pos_embed", "reg_token"}),
        ("swin_tiny_patch4_window7_224", {}, {"layers.0.blocks.0.attn.relative_position_bias_table"}),
    ],
)
def test_tokens_and_positions_do_not_decay(name, options, exempt):
    backbone = Backbone(name, **options)
    found = assigned(Optimization(weight_decay=0.1).groups(backbone), backbone)
    assert all(found[f"network.{name}"][1] == 0 for name in exempt)


def test_bias_rate():
    layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    found = assigned(Optimization(lr=0.2, bias_lr=0.0048, weight_decay=0.1).groups(layers), layers)
    assert found == {
        "0.weight": (0.2, 0.1), "0.bias": (0.0048, 0.0), "1.weight": (0.0048, 0.0), "1.bias": (0.0048, 0.0)
    }  # fmt: skip
    assert assigned(Optimization(lr=0.2).groups(layers, lr=3.0), layers)["0.bias"] == (3.0, 0.0)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18"])
def test_layer_decay_equals_timms(name, vit):
    backbone = vit if name == vit.name else Backbone(name)
    found = assigned(Optimization(lr=2.0, layer_decay=0.75).groups(backbone, backbone.layer_ids()), backbone)
    network = timm.create_model(name, num_classes=0)
    names = {parameter: name for name, parameter in network.named_parameters()}
    for group in param_groups_layer_decay(network, layer_decay=0.75):
        for parameter in group["params"]:
            assert found[f"network.{names[parameter]}"][0] == pytest.approx(2.0 * group["lr_scale"])


def test_rate_of_each_block(vit):
    found = assigned(Optimization(lr=1.0, layer_decay=0.5).groups(vit, vit.layer_ids()), vit)
    assert found["network.pos_embed"][0] == 0.5**12
    assert [found[f"network.blocks.{i}.attn.qkv.weight"][0] for i in range(12)] == [0.5 ** (11 - i) for i in range(12)]
    assert found["network.norm.weight"][0] == 1


def test_what_has_no_depth_has_the_full_rate():
    layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    groups = Optimization(lr=1.0, layer_decay=0.5).groups(layers, {"0.weight": 0, "1.weight": 1})
    rates = {name: rate for name, (rate, _) in assigned(groups, layers).items()}
    assert rates == {"0.weight": 0.5, "1.weight": 1, "2.weight": 1}


@pytest.mark.parametrize("name", ["adamw", "lars", "sgd"])
def test_frozen_parameters_are_in_no_group(name):
    backbone = Backbone("vit-pytorch", **SMALL)
    backbone.freeze(1)
    optimization = Optimization(name=name)
    found = assigned(optimization.groups(backbone), backbone)
    assert set(found) == {name for name, p in backbone.named_parameters() if p.requires_grad}
    backbone.freeze("all")
    assert optimization.groups(backbone) == []
    head = nn.Linear(2, 2)
    optimizer = optimization.optimizer(optimization.groups(backbone) + optimization.groups(head))
    head(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]


@pytest.mark.parametrize("decay", [0.0, 1.5e-6, 0.1])
def test_lars_is_the_official_barlow_twins_one(decay):
    """weight_decay_filter and lars_adaptation_filter on: what has one dimension is neither decayed nor
    adapted."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    nn.init.zeros_(layers[2].weight)  # a norm of 0 is not adapted
    weights = {name: p.detach().clone() for name, p in layers.named_parameters()}
    momentum = {name: torch.zeros_like(p) for name, p in weights.items()}
    optimization = Optimization(name="lars", lr=0.2, bias_lr=0.0048, weight_decay=decay, momentum=0.9)
    optimizer = optimization.optimizer(optimization.groups(layers))
    for _ in range(5):
        optimizer.zero_grad()
        layers(torch.randn(6, 4, dtype=torch.float64)).square().sum().backward()
        for name, p in layers.named_parameters():
            update, rate = p.grad, 0.0048
            if p.ndim > 1:
                rate = 0.2
                update = update + decay * weights[name]
                norm, length = weights[name].norm(), update.norm()
                if norm > 0 and length > 0:
                    update = update * 0.001 * norm / length
            momentum[name] = 0.9 * momentum[name] + update
            weights[name] = weights[name] - rate * momentum[name]
        optimizer.step()
        for name, p in layers.named_parameters():
            torch.testing.assert_close(p.detach(), weights[name], rtol=1e-12, atol=1e-12)


def test_lars_resumes_with_its_momentum():
    def run(steps, optimizer, weight):
        for _ in range(steps):
            weight.grad = weight.detach().sin()
            optimizer.step()

    weight = nn.Parameter(torch.eye(3))
    optimizer = Optimization(name="lars").optimizer([weight])
    run(2, optimizer, weight)
    copy = nn.Parameter(weight.detach().clone())
    again = Optimization(name="lars").optimizer([copy])
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    run(3, optimizer, weight)
    run(3, again, copy)
    assert torch.equal(weight, copy)


def test_warm_up_then_cosine():
    optimization = Optimization(warmup=0.1, final_lr=0.001)
    factors = [optimization.factor(step, 100) for step in range(101)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    for step in range(10, 101):
        cosine = 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
        assert factors[step] == pytest.approx(cosine * 1 + (1 - cosine) * 0.001)
    assert factors[10] == max(factors) == 1
    assert factors[100] == pytest.approx(0.001)


@pytest.mark.parametrize("warmup", [0.0, 0.03, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_the_factor_stays_between_0_and_1(warmup, steps):
    factors = [Optimization(warmup=warmup).factor(step, steps) for step in range(steps + 1)]
    assert min(factors) > 0
    assert max(factors) <= 1
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_schedule_multiplies_every_groups_rate():
    layers = nn.Linear(2, 2)
    optimization = Optimization(lr=0.2, bias_lr=0.1, warmup=0.5)
    optimizer = optimization.optimizer(optimization.groups(layers))
    schedule = optimization.scheduler(optimizer, steps=4)
    for step in range(4):
        factor = optimization.factor(step, 4)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.2 * factor, 0.1 * factor])
        optimizer.step()
        schedule.step()


def test_weight_decay_follows_a_cosine():
    layers = nn.Linear(2, 2)
    optimization = Optimization(weight_decay=(0.04, 0.4))
    optimizer = optimization.optimizer(optimization.groups(layers))
    schedule = optimization.scheduler(optimizer, steps=10)
    found = []
    for _ in range(11):
        found.append([group["weight_decay"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    weights, biases = zip(*found)
    official = [0.4 + 0.5 * (0.04 - 0.4) * (1 + math.cos(math.pi * step / 10)) for step in range(11)]
    assert weights[:11] == pytest.approx(official)
    assert (weights[0], weights[5], weights[10]) == pytest.approx((0.04, 0.22, 0.4))
    assert set(biases) == {0.0}


@pytest.mark.parametrize("decay", [0.1, (0.04, 0.4)])
def test_a_schedule_resumes_and_takes_the_new_length(decay):
    layers = nn.Linear(2, 2)
    optimization = Optimization(weight_decay=decay)
    first, second = (optimization.optimizer(optimization.groups(layers)) for _ in range(2))
    before, after = optimization.scheduler(first, steps=4), optimization.scheduler(second, steps=8)
    first.step()
    before.step()
    state = before.state_dict()
    assert "decay" not in state  # a closure, which no checkpoint may hold
    second.load_state_dict(first.state_dict())
    after.load_state_dict(state)
    second.step()
    after.step()
    assert second.param_groups[0]["weight_decay"] == optimization.decay(2, 8)
    assert second.param_groups[0]["lr"] == pytest.approx(optimization.lr * optimization.factor(2, 8))


def test_resumed_with_more_epochs_the_rate_is_at_once_that_of_the_new_schedule():
    weight = nn.Linear(2, 2)

    def begin(steps: int):
        how = Optimization(lr=1.0, weight_decay=(0.0, 1.0), warmup=0.25)
        optimizer = how.optimizer(how.groups(weight))
        return optimizer, how.scheduler(optimizer, steps), how

    optimizer, schedule, _ = begin(8)
    for _ in range(6):
        optimizer.step()
        schedule.step()
    longer, resumed, how = begin(16)
    longer.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert {group["lr"] for group in longer.param_groups} == {how.factor(6, 16)}
    assert how.factor(6, 16) > 2 * how.factor(6, 8)
    assert {group["weight_decay"] for group in longer.param_groups} == {how.decay(6, 16), 0.0}
    assert resumed.get_last_lr() == [group["lr"] for group in longer.param_groups]

    same, again, _ = begin(8)
    same.load_state_dict(optimizer.state_dict())
    again.load_state_dict(schedule.state_dict())
    assert [dict(group, params=[]) for group in same.param_groups] == [
        dict(group, params=[]) for group in optimizer.param_groups
    ]
