"""Methods that mask patches, in the loop of training: in parts, recomputed, resumed, refused."""

import signal
from copy import deepcopy

import pytest
import torch

from twinsight.assemble.probing import plan_looks
from twinsight.backbones.backbone import Backbone
from twinsight.commands import pretrain
from twinsight.data.shapes import Shapes
from twinsight.data.views import one_view
from twinsight.errors import UserError
from twinsight.methods.attention_term import AttentionTerm
from twinsight.methods.dinov2 import DINOv2
from twinsight.methods.ibot import IBOT
from twinsight.methods.mae import MAE
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.dinov2 import DinoV2Options
from twinsight.options.methods.ibot import IbotOptions
from twinsight.options.methods.mae import CropOptions, MaeOptions
from twinsight.options.methods.views import MultiCropOptions
from twinsight.training.blocks import checkpoint_blocks
from twinsight.training.exact import in_parts
from twinsight.training.last import LastCheckpoint
from twinsight.training.pretrainer import subjects

BACKBONES = {
    "vit": ("test_vit", {}),
    "rotary": ("vit_small_patch16_dinov3", {"embed_dim": 24, "depth": 2, "num_heads": 2}),
}
DECODER = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
HEAD = {"prototypes": 16, "hidden": 16, "bottleneck": 8}
CROPS = MultiCropOptions(size=32, local_views=2, local_size=16)
METHODS = {
    "mae": lambda b: MAE(b, None, **DECODER),
    "ibot": lambda b: IBOT(b, None, **HEAD),
    "dinov2": lambda b: DINOv2(b, None, **HEAD),
}
OPTIONS = {
    "mae": MaeOptions(**DECODER, views=CropOptions(size=32)),
    "ibot": IbotOptions(**HEAD, views=CROPS),
    "dinov2": DinoV2Options(**HEAD, views=CROPS),
}


def views_for(kind: str) -> list[torch.Tensor]:
    sides = (64,) if kind == "mae" else (64, 64, 32)
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(12, 3, side, side, generator=generator, dtype=torch.float64) for side in sides]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", METHODS)
def test_gradient_of_parts_and_of_recomputed_blocks_is_that_of_the_batch(kind, backbone):
    """The masks of a batch are drawn at once, so each image has its own whatever the parts."""
    torch.manual_seed(0)
    name, options = BACKBONES[backbone]
    method = METHODS[kind](Backbone(name, drop_path_rate=0.0, **options)).double()
    found = []
    for parts, recompute in ((1, False), (3, False), (1, True), (2, True)):
        made = deepcopy(method)
        for trunk in (module for module in made.modules() if isinstance(module, Backbone) and recompute):
            checkpoint_blocks(trunk)
        torch.manual_seed(3)
        with in_parts(made, parts):
            loss = made(views_for(kind), progress=0.3)["loss"]
        loss.backward()
        found.append({"": loss.detach()} | {n: p.grad for n, p in made.named_parameters() if p.grad is not None})
    expected = found[0]
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert any("network" in name for name in expected)
    for each in found[1:]:
        assert each.keys() == expected.keys()
        for name, gradient in expected.items():
            # 1e-6: timm resizes positions in float32.
            torch.testing.assert_close(each[name], gradient, rtol=0, atol=float(1e-6 * largest), msg=name)


def options(kind, run, **changes) -> Pretrain:
    given = {
        "epochs": 2, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "lr": 0.01, "probe": "none", "data": ShapesOptions(count=20, size=32), "method": OPTIONS[kind],
        "backbone": TimmOptions(name="test_vit", drop_path_rate=0.4),
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


def state(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("kind", METHODS)
def test_resumed_is_as_uninterrupted(kind, tmp_path, monkeypatch):
    """Masks and dropped blocks, too, are those that would have come."""
    whole = pretrain.run(options(kind, tmp_path / "whole"))
    original, seen = LastCheckpoint.on_train_batch_end, []

    def on_train_batch_end(self, trainer, *args):
        seen.append(trainer.global_step)
        if len(seen) == 7:
            self.signals.receive(signal.SIGINT)
        original(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_batch_end", on_train_batch_end)
        with pytest.raises(KeyboardInterrupt):
            pretrain.run(options(kind, tmp_path / "cut"))
    pretrain.run(options(kind, None, resume=tmp_path / "cut"))
    expected, found = state(whole), state(tmp_path / "cut")
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (tmp_path / "cut/metrics.csv").read_text() == (whole / "metrics.csv").read_text()


@pytest.mark.parametrize("kind", METHODS)
def test_dry_run(kind, capfd):
    """The memory estimate runs on tensors without values."""
    given = options(kind, None, dry_run=True, accumulate=2, accumulate_exact=True, batch_size=2)
    assert pretrain.run(given) is None
    out = capfd.readouterr().out
    for word in (kind, "test_vit", "20 images", "FLOP", "memory"):
        assert word in out


@pytest.mark.parametrize("kind", METHODS)
def test_the_attention_term_needs_whole_views(kind):
    method = METHODS[kind](Backbone("test_vit"))
    with pytest.raises(UserError, match=r"--attention: needs a backbone that sees whole views, but .* masks patches"):
        AttentionTerm(sharpness=1.0).check(method, 32)


def test_one_view_has_no_probes_of_two():
    seen = Shapes("train", count=4, size=32)
    method = MAE(Backbone("test_vit"), one_view(size=32), **DECODER)
    assert [look.name for look in plan_looks("auto", subjects(method), seen)] == ["views", "features", "attention"]
    with pytest.raises(UserError, match="--probe health: compares two views, but this method makes only one"):
        plan_looks("views,health", subjects(method), seen)
