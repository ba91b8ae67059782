import signal
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from twinsight.config import Pretrain
from twinsight.data.loader import Views, train_loader
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.errors import UserError
from twinsight.run import Run
from twinsight.training import callbacks
from twinsight.training.metrics_csv import read_rows
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer
from twinsight.training.trainer import Training


class Scripted(nn.Module):
    """A method whose loss at step `bad` (from 1) is NaN, or whose gradient there is infinite while the loss
    is fine.
    """

    def __init__(self, bad: int = -1, gradient_only: bool = False):
        super().__init__()
        self.trunk = nn.Linear(1, 1)
        self.trunk.layer_ids = lambda: {"weight": 0, "bias": 0}
        self.bad, self.gradient_only, self.step = bad, gradient_only, 0

    def forward(self, views, progress):
        self.step += 1
        loss = self.trunk(views[0].float().mean().view(1)).square().mean()
        if self.step == self.bad:
            loss = loss + (self.trunk.weight.sum() * 0).sqrt() if self.gradient_only else loss * torch.nan
        return {"loss": loss}


def fit(folder: Path, method: nn.Module, resume: bool = False, **changes) -> tuple[Run, str]:
    run = Run(folder) if resume else Run.make(folder, Pretrain(), "pretrain", "x")
    loader = train_loader(Views(Shapes(count=16, size=16), two_views(size=16)), 4, 0)
    training = Training(**({"epochs": 3, "log_every": 1} | changes))
    return run, training.fit(Pretrainer(method, Optimization(lr=1e-3)), loader, None, run, resume)


def saved(run: Run) -> dict:
    return torch.load(run.last, weights_only=True)


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """Checkpoints at the end of each epoch, however short."""
    monkeypatch.setattr(callbacks.LastCheckpoint.__init__, "__defaults__", (None, 0.0))


@pytest.mark.parametrize("log_every", [1, 100])
@pytest.mark.parametrize("gradient_only", [False, True])
def test_nan_keeps_the_last_good_checkpoint(tmp_path, gradient_only, log_every):
    with pytest.raises(UserError, match=r"no longer finite at step \d+, .*last.ckpt is the last good"):
        fit(tmp_path / "run", Scripted(bad=6, gradient_only=gradient_only), log_every=log_every)
    state = saved(Run(tmp_path / "run"))
    assert state["global_step"] == 4
    assert all(value.isfinite().all() for value in state["state_dict"].values())


def test_nan_names_its_step_and_the_way_on(tmp_path):
    with pytest.raises(UserError, match=r"at step 6, .*smaller --lr.*--clip 1"):
        fit(tmp_path / "run", Scripted(bad=6))
    _, end = fit(tmp_path / "run", Scripted(), resume=True)
    assert end == "done"
    assert [row["step"] for row in read_rows(tmp_path / "run/metrics.csv")] == list(range(12))


def test_nan_before_any_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no checkpoint was due yet"):
        fit(tmp_path / "run", Scripted(bad=2))


def test_interrupted_twice_stops_at_once(tmp_path, monkeypatch):
    def ctrl_c_twice(self, trainer, *args):
        if trainer.global_step == 6:
            self.interrupt()
            self.interrupt()

    monkeypatch.setattr(callbacks.LastCheckpoint, "on_train_batch_end", ctrl_c_twice)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", Scripted())
    assert saved(Run(tmp_path / "run"))["global_step"] == 4


def test_disk_full_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    original = pl.Trainer.save_checkpoint

    def full(self, file, *args, **kwargs):
        original(self, file, *args, **kwargs)
        if self.global_step > 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", full)
    with pytest.raises(UserError, match=r"could not be written at step 8.*No space left"):
        fit(tmp_path / "run", Scripted())
    assert saved(Run(tmp_path / "run"))["global_step"] == 4
    assert sorted(file.name for file in (tmp_path / "run/checkpoints").iterdir()) == ["last.ckpt"]


def test_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    fit(tmp_path / "run", Scripted(), epochs=1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
