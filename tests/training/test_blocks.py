"""Blocks that are computed again, or compiled: the same numbers with less memory, the same names."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from twinsight.assemble.open import make_model
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.commands import pretrain
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.data import ShapesOptions
from twinsight.options.heads import FusionConcatOptions
from twinsight.options.methods.attention_term import AttentionTermOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.training import blocks as blocks_module
from twinsight.training.blocks import blocks, checkpoint_blocks
from twinsight.training.compiling import Compiling
from twinsight.training.estimate import cost

SWIN = {"img_size": 32, "depths": (1, 1), "num_heads": (1, 2), "embed_dim": 16, "window_size": 4}
VIT_PYTORCH = {"image_size": 32, "patch_size": 8, "dim": 32, "depth": 2, "heads": 4, "mlp_dim": 64, "dropout": 0.5}
BACKBONES = {
    "vit": lambda: Backbone("test_vit", img_size=32, drop_path_rate=0.5),
    "swin": lambda: Backbone("swin_tiny_patch4_window7_224", **SWIN, drop_path_rate=0.5),
    "vit-pytorch": lambda: Backbone("vit-pytorch", **VIT_PYTORCH),
    "resnet": lambda: Backbone("test_resnet"),
    "densenet": lambda: Backbone("densenet121", growth_rate=4, block_config=(2, 2)),
}


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("resnet50", "layer1.0", 16),
        ("vit_small_patch16_224", "blocks.0", 12),
        ("swin_tiny_patch4_window7_224", "layers.0.blocks.0", 15),  # 12, and what merges patches between stages
        ("vit-pytorch", "vit.transformer.layers.0.0", 24),
    ],
)
def test_blocks_of_known_networks(name, first, count):
    with torch.device("meta"):
        backbone = Backbone(name)
    found = list(blocks(backbone))
    assert len(found) == count
    assert found[0] is backbone.network.get_submodule(first)


def gradients(backbone: Backbone, maps: bool) -> dict[str, torch.Tensor]:
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(1)
    if maps:
        sum(m.square().mean() for m in backbone.features(images, (0, -1)).maps).backward()
    else:
        backbone(images).square().mean().backward()
    return {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("maps", [False, True])
def test_gradients_are_the_same(name, maps):
    torch.manual_seed(0)
    plain = BACKBONES[name]().double()
    again = deepcopy(plain)
    checkpoint_blocks(again)
    copied = deepcopy(again)  # as DINO's student is one
    expected = gradients(plain, maps)
    for backbone in (again, copied):
        found = gradients(backbone, maps)
        assert expected.keys() == found.keys()
        for key, gradient in expected.items():
            torch.testing.assert_close(found[key], gradient, rtol=1e-9, atol=1e-12, msg=key)
    assert list(again.state_dict()) == list(plain.state_dict())


def test_a_copy_computes_its_own_weights_again():
    backbone = BACKBONES["vit-pytorch"]().double()
    checkpoint_blocks(backbone)
    copied = deepcopy(backbone)
    gradients(copied, maps=False)
    assert all(parameter.grad is None for parameter in backbone.parameters())


@pytest.mark.parametrize(("name", "share"), [("vit", 0.5), ("resnet", 0.9)])  # of 6 blocks, and of 4
def test_estimate_knows_of_it(name, share):
    backbone = BACKBONES[name]()
    loss = lambda model, batch: model(torch.zeros(batch, 3, 32, 32)).sum()  # noqa: E731
    before = cost(backbone, loss)
    random = torch.get_rng_state()
    checkpoint_blocks(backbone)
    after = cost(backbone, loss)
    assert after.per_image < share * before.per_image
    assert after.flops > before.flops  # blocks run forward twice
    assert torch.equal(torch.get_rng_state(), random)


def test_attention_is_recorded_without_gradients():
    backbone = BACKBONES["vit"]().eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = attention_maps(backbone, images).maps
    checkpoint_blocks(backbone)
    for a, b in zip(attention_maps(backbone, images).maps, expected, strict=True):
        assert torch.equal(a, b)


def options(run: Path | None, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0, "lr": 0.01,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)), "probe": "none",
        "backbone": TimmOptions(name="test_resnet"), "data": ShapesOptions(count=12, size=32), "optimizer": "sgd",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


@pytest.mark.parametrize("change", ["checkpointing", "compile"])
def test_a_run_comes_to_the_same_weights(tmp_path, monkeypatch, change):
    """Running statistics of batch norm included."""
    monkeypatch.setattr("twinsight.training.trainer.Compiling", lambda: Compiling("aot_eager"))
    pretrain.run(options(tmp_path / "plain"))
    pretrain.run(options(tmp_path / "other", **{change: True}))
    plain, other = (
        torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in ("plain", "other")
    )
    assert plain.keys() == other.keys()
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=1e-6, msg=name)


def test_compiled_for_training_steps_alone():
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = BACKBONES["vit"]()

    module = Module()
    names = list(module.state_dict())
    compiling = Compiling(backend)
    compiling.setup(None, module, "fit")
    images = torch.rand(2, 3, 32, 32)
    try:
        module.trunk(images)
        assert not seen
        compiling.on_train_batch_start()
        module.trunk(images)
        assert seen
        compiling.on_train_batch_end()
        seen.clear()
        attention_maps(module.trunk.eval(), images[:1])
        assert not seen
    finally:
        compiling.teardown()
    assert list(module.state_dict()) == names


@pytest.mark.parametrize("name", ["checkpointing", "compile"])
def test_refused_where_attention_is_recorded(tmp_path, name):
    with pytest.raises(UserError, match=f"--{name}: cannot be combined with --attention"):
        pretrain.run(options(tmp_path / "run", **{name: True, "attention": AttentionTermOptions(sharpness=1.0)}))
    segment = Segment(head=FusionConcatOptions(), backbone=TimmOptions(name="test_vit"), **{name: True})
    with pytest.raises(UserError, match=f"--{name}: cannot be combined with --head fusion-concat"):
        make_model(segment, 3)


def test_a_network_without_blocks(monkeypatch):
    monkeypatch.setattr(blocks_module, "blocks", lambda backbone: iter(()))
    with pytest.raises(UserError, match="--checkpointing: test_vit has no blocks"):
        checkpoint_blocks(BACKBONES["vit"]())
