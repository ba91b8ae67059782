"""A training of milliseconds a step, with all that a resume can lose: batch norm, dropout, momentum, shuffling."""

import signal
from pathlib import Path
from typing import Any

import torch
from begun import begun
from torch import nn

from twinsight.data.loader import Views, eval_loader, train_loader
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.options.commands import Pretrain
from twinsight.runs.directory import Run
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer
from twinsight.training.trainer import Training

STEPS = 4
"""An epoch has so many."""


class Tiny(nn.Module):
    """acts: called with the number of the forward, from 1, in its middle: after batch norm has counted the batch."""

    def __init__(self, acts: Any = None):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.trunk.layer_ids = lambda: {name: 0 for name, _ in self.trunk.named_parameters()}
        self.acts, self.forwards = acts, 0

    def views(self):
        return two_views(size=16)

    def forward(self, views, progress):
        self.forwards += 1
        out = self.trunk(views[0].float().mean((2, 3)) / 255)
        if self.acts is not None:
            self.acts(self.forwards)
        return {"loss": (out - 1).square().mean()}


class Validated(Pretrainer):
    """Scores its validations as they are listed; acts: called in the middle of each, with its number from 1."""

    def __init__(self, *args: Any, scores=(0.5, 0.4, 0.6, 0.3), acts: Any = None):
        super().__init__(*args)
        self.scores, self.acts = scores, acts

    def validation_step(self, batch, batch_idx):
        if batch_idx == 1 and self.acts is not None:
            self.acts(self.trainer.current_epoch + 1)

    def on_validation_epoch_end(self):
        self.log("val/score", torch.tensor(self.scores[self.trainer.current_epoch], dtype=torch.float64))


def fit(folder: Path, method: nn.Module, resume: bool = False, validated: dict | None = None, **changes) -> Any:
    """How it ended; `validated`: the arguments of `Validated`, to validate too."""
    run = Run(folder) if resume else begun(folder, Pretrain(), "pretrain")
    torch.manual_seed(1)
    loader = train_loader(Views(Shapes(count=16, size=16), two_views(size=16)), 4, 0)
    optimization = Optimization(lr=1e-2)
    given = {"epochs": 3, "log_every": 1, "precision": "fp32"}
    if validated is None:
        return Training(**given | changes).fit(Pretrainer(method, optimization), loader, None, run, resume)
    module = Validated(method, optimization, **validated)
    val = eval_loader(Views(Shapes(count=8, size=16), two_views(size=16)), 2, 0)
    return Training(**given | {"monitor": "val/score"} | changes).fit(module, loader, val, run, resume)


def send(number: signal.Signals = signal.SIGTERM) -> None:
    """A signal to this process, taken before the next line runs."""
    signal.raise_signal(number)


def load(run: Path, name: str = "last.ckpt") -> dict:
    return torch.load(run / "checkpoints" / name, weights_only=True)


def same(a: Any, b: Any) -> bool:
    """Whether two checkpoints' parts are equal bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def equal_runs(whole: Path, cut: Path) -> None:
    """Weights, averages, optimizer, schedule and random state are those of a run that was never stopped; so is the
    table of metrics.
    """
    expected, found = load(whole), load(cut)
    assert found["global_step"] == expected["global_step"]
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "current_model_state", "averaging_state"):
        assert same(expected.get(part), found.get(part)), part
    mine = "LastCheckpoint"
    assert same(expected["callbacks"][mine], found["callbacks"][mine])
    assert (cut / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
