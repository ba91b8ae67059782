"""A resumed run comes to the weights of an uninterrupted one."""

import signal
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import save_backbone
from twinsight.commands import pretrain, segment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.data import ClassFolderOptions, PairOptions, ShapesOptions
from twinsight.options.heads import EomtOptions, LinearOptions
from twinsight.options.lora import LoraOptions
from twinsight.options.methods.angular import AngularOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.byol import ByolOptions
from twinsight.options.methods.distill import DistillOptions
from twinsight.options.methods.lejepa import LejepaOptions, LejepaViewsOptions
from twinsight.options.methods.moco_v3 import MocoV3Options
from twinsight.options.methods.simclr import SimclrOptions, SimclrViewsOptions
from twinsight.options.methods.simsiam import SimSiamOptions, SimSiamViewsOptions
from twinsight.options.methods.subcenter_arcface import SubcenterArcFaceOptions
from twinsight.options.methods.supervised import SupervisedOptions
from twinsight.options.methods.swav import SwavOptions, SwavViewsOptions
from twinsight.options.methods.vicreg import VicregOptions
from twinsight.options.methods.views import OneViewOptions, TwoViewsOptions
from twinsight.runs.rows import read_rows
from twinsight.training.last import LastCheckpoint
from twinsight.training.trainer import Training

DATA = ShapesOptions(count=20, val_count=4, size=32)
VIT = TimmOptions(name="test_vit", drop_path_rate=0.4)


def pretrain_options(run: Path, **changes) -> Pretrain:
    given = {
        "method": BarlowTwinsOptions(projector=(16, 16), views=TwoViewsOptions(size=32)),
        "epochs": 2,
        "batch_size": 4,
        "workers": 0,
        "log_every": 1,
        "lr": 0.01,
        "probe": "none",
        "precision": "fp32",
    } | changes
    return Pretrain(run=run, backbone=VIT, **{"data": DATA} | given)


def segment_options(run: Path, **changes) -> Segment:
    given = {
        "epochs": 2,
        "batch_size": 4,
        "workers": 0,
        "log_every": 1,
        "lr": 0.01,
        "probe": "none",
        "precision": "fp32",
    } | changes
    given = {"head": LinearOptions(dropout=0.5)} | given
    return Segment(run=run, augment=PairOptions(size=32), backbone=VIT, data=DATA, **given)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return state["state_dict"] | {f"current {k}": v for k, v in state.get("current_model_state", {}).items()}


def interrupt_at(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """As Ctrl-C does, in the middle of the given batch."""
    original, seen = LastCheckpoint.on_train_batch_end, []

    def on_train_batch_end(self, trainer, *args):
        seen.append(trainer.global_step)
        if len(seen) == batches:
            self.signals.receive(signal.SIGINT)
        original(self, trainer, *args)

    monkeypatch.setattr(LastCheckpoint, "on_train_batch_end", on_train_batch_end)


def resume(make, command, run: Path, **changes) -> None:
    command.run(replace(make(None, **changes), resume=run))


# Within the first epoch, at its last batch, within the second: each another path through Lightning.
@pytest.mark.parametrize("batches", [3, 5, 7])
@pytest.mark.parametrize(("make", "command"), [(pretrain_options, pretrain), (segment_options, segment)])
def test_same_weights(tmp_path, monkeypatch, make, command, batches):
    compare(tmp_path, monkeypatch, make, command, batches)


LORA = LoraOptions(rank=2, dropout=0.5)
EOMT = EomtOptions(queries=8, blocks=2, points=64)


@pytest.mark.parametrize(
    "changes", [{"ema": 0.9}, {"swa": 0.5}, {"accumulate": 2}, {"head": EOMT}, {"lora": LORA, "ema": 0.9}], ids=str
)
def test_same_weights_averaged_and_accumulated(tmp_path, monkeypatch, changes):
    compare(tmp_path, monkeypatch, segment_options, segment, 7, **changes)


def compare(tmp_path, monkeypatch, make, command, batches, **changes):
    command.run(make(tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        interrupt_at(patch, batches)
        with pytest.raises(KeyboardInterrupt):
            command.run(make(tmp_path / "cut", **changes))
    assert torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)["global_step"] < 10
    resume(make, command, tmp_path / "cut", **changes)

    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name in whole:
        assert torch.equal(cut[name], whole[name]), name
    assert (tmp_path / "cut/metrics.csv").read_text() == (tmp_path / "whole/metrics.csv").read_text()


TWO_VIEWS = TwoViewsOptions(size=32)
OTHERS = {
    "vicreg": VicregOptions(projector=(16, 16), views=TWO_VIEWS),
    "simclr": SimclrOptions(projector=(16, 16), views=SimclrViewsOptions(size=32)),
    "lejepa": LejepaOptions(
        projector=(16, 8), slices=16, views=LejepaViewsOptions(size=32, local_size=16, local_views=1)
    ),
    "moco-v3": MocoV3Options(projector=(16, 8), hidden=16, views=TWO_VIEWS),
    "byol": ByolOptions(hidden=16, dim=8, views=TWO_VIEWS),
    "simsiam": SimSiamOptions(dim=16, hidden=8, views=SimSiamViewsOptions(size=32)),
    # The queue is full after the third of the five updates.
    "swav": SwavOptions(
        prototypes=16,
        hidden=16,
        dim=8,
        queue_length=6,
        views=SwavViewsOptions(size=32, local_size=16, local_views=2),
    ),
}
"""Methods beside Barlow Twins."""


@pytest.mark.parametrize("method", OTHERS)
def test_same_weights_of_each_method(tmp_path, monkeypatch, method):
    compare(tmp_path, monkeypatch, partial(pretrain_options, method=OTHERS[method], epochs=1), pretrain, 4)


ONE_VIEW = OneViewOptions(size=32)
LABELED = {"supervised": SupervisedOptions(views=ONE_VIEW)}
"""Methods that learn from classes."""

if find_spec("pytorch_metric_learning"):  # in `pip install twinsight[dev]`
    LABELED |= {
        "subcenter-arcface": SubcenterArcFaceOptions(views=ONE_VIEW),
        "angular": AngularOptions(views=ONE_VIEW),
    }


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """20 images in a folder per class."""
    root, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for i in range(20):
        file = root / f"{'abc'[i % 3]}/{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(file)
    return ClassFolderOptions(root=root, val_fraction=0.0)


@pytest.mark.parametrize("method", LABELED)
def test_same_weights_with_labels(tmp_path, monkeypatch, classes, method):
    make = partial(pretrain_options, method=LABELED[method], data=classes, epochs=1)
    compare(tmp_path, monkeypatch, make, pretrain, 4)


def test_same_weights_beside_a_teacher(tmp_path, monkeypatch):
    file = tmp_path / "teacher.safetensors"
    save_backbone(Backbone("test_resnet"), file)
    method = DistillOptions(teacher=file, views=OneViewOptions(size=32))
    compare(tmp_path, monkeypatch, partial(pretrain_options, method=method, epochs=1), pretrain, 4)


def test_what_draws_between_steps_changes_nothing(tmp_path, monkeypatch):
    """Such as a probe of the user's own; the network has stochastic depth."""

    class Draws(pl.Callback):
        def on_train_batch_end(self, *args):
            torch.rand(3)

    pretrain.run(pretrain_options(tmp_path / "plain"))
    original = Training.callbacks
    monkeypatch.setattr(Training, "callbacks", lambda *args: [Draws(), *original(*args)])
    pretrain.run(pretrain_options(tmp_path / "drawn"))
    plain, drawn = weights(tmp_path / "plain"), weights(tmp_path / "drawn")
    assert all(torch.equal(plain[name], drawn[name]) for name in plain)


def test_out_of_time_then_resumed(tmp_path):
    pretrain.run(pretrain_options(tmp_path / "whole"))
    pretrain.run(pretrain_options(tmp_path / "cut", max_minutes=1e-9))
    assert torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)["global_step"] == 1
    resume(pretrain_options, pretrain, tmp_path / "cut")
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_finished_run(tmp_path, capfd):
    run = tmp_path / "run"
    pretrain.run(pretrain_options(run, epochs=1))
    exported = (run / "backbone.safetensors").read_bytes()
    resume(pretrain_options, pretrain, run, epochs=1)
    assert "finished after 1 epoch;" in capfd.readouterr().err
    assert (run / "backbone.safetensors").read_bytes() == exported
    resume(pretrain_options, pretrain, run, epochs=2)
    steps = [row["step"] for row in read_rows(run / "metrics.csv")]
    assert steps == list(range(10))
    assert "epochs: 2" in (run / "config.yaml").read_text()


def test_contradiction(tmp_path):
    run = tmp_path / "run"
    pretrain.run(pretrain_options(run, epochs=1))
    options = replace(pretrain_options(None, epochs=1), resume=run, backbone=TimmOptions(name="test_resnet"))
    with pytest.raises(UserError, match="--backbone: is not what"):
        pretrain.run(options)


def test_broken_checkpoint(tmp_path):
    run = tmp_path / "run"
    pretrain.run(pretrain_options(run, epochs=1))
    (run / "checkpoints/last.ckpt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(UserError, match=r"last.ckpt: cannot be read"):
        resume(pretrain_options, pretrain, run, epochs=1)
