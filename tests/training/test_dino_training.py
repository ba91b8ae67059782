"""DINO in the loop of training: what moves, what is kept, what is resumed."""

import signal
from pathlib import Path

import pytest
import torch
from tiny import Tiny
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone
from twinsight.commands import pretrain
from twinsight.methods.dino import DINO
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.dino import DinoOptions
from twinsight.options.methods.views import MultiCropOptions
from twinsight.runs.rows import read_rows
from twinsight.training.last import LastCheckpoint
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer

HEAD = {"prototypes": 16, "hidden": 16, "bottleneck": 8}


def options(run: Path | None, **changes) -> Pretrain:
    """10 updates. Of the share 0.25, rounded up, 3 updates leave the prototypes as they are."""
    views = MultiCropOptions(size=32, local_views=2, local_size=16)
    given = {
        "epochs": 2, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "lr": 0.05, "weight_decay": (0.04, 0.4), "probe": "none", "data": ShapesOptions(count=20, size=32),
        "backbone": TimmOptions(name="test_vit", drop_path_rate=0.4),
        "method": DinoOptions(
            **HEAD, freeze_last_layer=0.25, temperature_warmup=0.3, views=views, momentum=0.996,
            teacher_temperature=(0.04, 0.07), centering="mean", batch_norm=False,
        ),
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


def state(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    run = pretrain.run(options(tmp_path_factory.mktemp("dino") / "whole"))
    assert run is not None
    return run


# Within the frozen share, at the end of the first epoch, within the second.
@pytest.mark.parametrize("batches", [2, 5, 7])
def test_resumed_is_as_uninterrupted(whole, tmp_path, monkeypatch, batches):
    original, seen = LastCheckpoint.on_train_batch_end, []

    def on_train_batch_end(self, trainer, *args):
        seen.append(trainer.global_step)
        if len(seen) == batches:
            self.signals.receive(signal.SIGINT)
        original(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_batch_end", on_train_batch_end)
        with pytest.raises(KeyboardInterrupt):
            pretrain.run(options(tmp_path / "cut"))
    pretrain.run(options(None, resume=tmp_path / "cut"))
    expected, found = state(whole), state(tmp_path / "cut")
    assert expected.keys() == found.keys()
    assert "method.center" in expected
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-7, msg=name)
    assert (tmp_path / "cut/metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def test_the_teachers_backbone_is_kept(whole):
    weights, backbone = state(whole), Backbone("test_vit")
    load_backbone(backbone, whole)
    for name, value in backbone.network.state_dict().items():
        torch.testing.assert_close(value, weights[f"method.trunk.network.{name}"])
    assert not torch.equal(weights["method.trunk.network.norm.weight"], weights["method.student.0.network.norm.weight"])


def test_what_is_logged(whole):
    rows = read_rows(whole / "metrics.csv")
    assert len(rows) == 10
    assert [row["train/momentum"] for row in rows][::5] == pytest.approx([0.996, 0.998], abs=1e-5)
    assert [row["train/temperature"] for row in rows][:4] == pytest.approx([0.04, 0.05, 0.06, 0.07])
    for row in rows:
        assert row["train/loss"] == pytest.approx(row["train/entropy"] + row["train/kl"], rel=1e-4)


def test_dry_run(capfd):
    assert pretrain.run(options(None, dry_run=True)) is None
    out = capfd.readouterr().out
    for word in ("dino", "test_vit", "20 images", "FLOP", "memory"):
        assert word in out


@pytest.mark.parametrize("accumulate", [1, 2])
def test_hooks_come_once_an_update_in_their_order(tmp_path, monkeypatch, accumulate):
    """And with its progress; the prototypes are frozen in the first quarter of them."""
    seen = []

    def note(name):
        original = getattr(DINO, name)

        def noted(self, *args):
            seen.append((name, args[-1], self.student[-1].weight.detach().clone()))
            return original(self, *args)

        monkeypatch.setattr(DINO, name, noted)

    note("after_backward")
    note("after_step")
    pretrain.run(options(tmp_path / "run", accumulate=accumulate, backbone=TimmOptions(name="test_resnet")))
    updates = 10 if accumulate == 1 else 6  # of 5 batches an epoch, the last is alone
    assert [name for name, _, _ in seen] == ["after_backward", "after_step"] * updates
    shares = [share for name, share, _ in seen if name == "after_step"]
    assert shares == [share for name, share, _ in seen if name == "after_backward"]
    assert shares == pytest.approx([i / updates for i in range(updates)])
    before, after = ([w for name, _, w in seen if name == kind] for kind in ("after_backward", "after_step"))
    moved = [not torch.equal(old, new) for old, new in zip(before, after)]
    assert moved == [share >= 0.25 for share in shares]


def test_the_optimizer_gets_the_student_with_its_depths():
    class Trainer:
        estimated_stepping_batches = 10

    method = DINO(Backbone("test_vit"), None, **HEAD, norm_last_layer=False)
    module = Pretrainer(method, Optimization(lr=1.0, layer_decay=0.5, weight_decay=(0.04, 0.4), warmup=0.0))
    module._trainer = Trainer()
    optimizer = module.configure_optimizers()["optimizer"]
    names = {parameter: name for name, parameter in method.named_parameters()}
    found = {names[p]: group for group in optimizer.param_groups for p in group["params"]}
    assert set(found) == {name for name in names.values() if name.startswith("student.")}
    backbone = method.student[0]
    assert isinstance(backbone, Backbone)
    depth = backbone.layer_ids()
    deepest = max(depth.values())
    for name, group in found.items():
        layer = depth.get(name.removeprefix("student.0."), deepest)
        assert group["lr"] == 0.5 ** (deepest - layer), name
    exempt = ("bias", "pos_embed", "cls_token", "reg_token", "norm.weight", "norm1.weight", "norm2.weight")
    assert all((group["weight_decay"] == 0) == name.endswith(exempt) for name, group in found.items())


def test_a_method_needs_no_hooks():
    module = Pretrainer(Tiny(), Optimization())
    module.on_before_optimizer_step(torch.optim.SGD([nn.Parameter(torch.ones(1))]))
