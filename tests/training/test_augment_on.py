"""Views colored by the device that trains make the training that workers' views make."""

from pathlib import Path

import pytest

from twinsight.assemble import training
from twinsight.commands import pretrain
from twinsight.device import Device
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.dino import DinoOptions
from twinsight.options.methods.views import MultiCropOptions, TwoViewsOptions
from twinsight.runs.rows import read_rows
from twinsight.training.pretrainer import Pretrainer

BARLOW = BarlowTwinsOptions(projector=(16, 16), views=TwoViewsOptions(size=32, mix=0.3, invert=0.3))
DINO = DinoOptions(
    prototypes=16, hidden=16, bottleneck=8, views=MultiCropOptions(size=32, local_views=2, local_size=16)
)


def options(run: Path | None, **changes) -> Pretrain:
    """10 steps an epoch."""
    given = {
        "epochs": 2, "batch_size": 8, "workers": 0, "log_every": 1, "precision": "fp32", "lr": 1e-5, "probe": "none",
        "backbone": TimmOptions(name="test_vit", img_size=32), "data": ShapesOptions(count=80, size=32),
        "method": BARLOW, "optimizer": "sgd",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


@pytest.fixture
def colored(monkeypatch) -> list[bool]:
    """Whether each batch came to the device to be colored."""
    seen, original = [], Pretrainer.on_after_batch_transfer

    def on_after_batch_transfer(self, batch, index):
        seen.append(batch.params is not None)
        return original(self, batch, index)

    monkeypatch.setattr(Pretrainer, "on_after_batch_transfer", on_after_batch_transfer)
    return seen


@pytest.mark.parametrize(
    "changes",
    [{}, {"method": DINO}, {"accumulate": 2, "accumulate_exact": True, "workers": 1}],
    ids=["barlow-twins", "dino", "exact"],
)
def test_the_same_losses(tmp_path, colored, changes):
    """At a rate at which the network hardly moves: its first steps at others magnify any noise of a level as much."""
    losses = {}
    for place in ("workers", "device"):
        pretrain.run(options(tmp_path / place, augment_on=place, **changes))
        losses[place] = [row["train/loss"] for row in read_rows(tmp_path / place / "metrics.csv")]
    steps = 20 // changes.get("accumulate", 1)
    assert colored == [False] * steps + [True] * steps
    assert losses["device"] == pytest.approx(losses["workers"], rel=2e-2)
    assert max(losses["workers"]) > 1.2 * min(losses["workers"])  # batches differ by far more


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_by_itself_only_a_gpu_colors(tmp_path, colored, monkeypatch, device):
    chosen = Device("cpu")
    chosen.cuda = device == "cuda"
    for memory in ("free_memory", "peak_memory"):
        monkeypatch.setattr(chosen, memory, lambda *_: 2**30)
    monkeypatch.setattr(training, "Device", lambda _: chosen)
    pretrain.run(options(tmp_path / "run", epochs=1, accelerator="cpu", devices=1))
    assert colored == [device == "cuda"] * 10


def test_a_resumed_run_may_change_it(tmp_path, colored):
    pretrain.run(options(tmp_path / "run", epochs=1, augment_on="workers"))
    pretrain.run(options(None, resume=tmp_path / "run", augment_on="device"))
    assert colored == [False] * 10 + [True] * 10
    assert "augment_on: device" in (tmp_path / "run" / "config.yaml").read_text()
