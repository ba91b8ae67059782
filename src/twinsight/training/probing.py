"""Runs probes during training: when each is due, what it may cost, and where its findings are logged."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
from torch import Tensor, nn

from twinsight.console import tell
from twinsight.device import own_randomness
from twinsight.errors import UserError
from twinsight.probes.probe import Probe
from twinsight.training.metrics_csv import MetricsCsv
from twinsight.training.progress import TrainingProgress
from twinsight.training.trackers import log_figure, log_scenes


@dataclass
class Scheduled:
    """A probe with its own interval and images.

    every: epochs or steps (see `unit`) between runs of the probe; 0: only at the start. masks: one per image, or None.
    seconds: duration of its last run. looked_at: the step of that run. due: whether it is waiting to run.
    """

    name: str
    probe: Probe
    images: Sequence[Tensor]
    masks: Sequence[Tensor] | None = None
    every: int = 1
    unit: Literal["epochs", "steps"] = "epochs"
    seconds: float = 0.0
    looked_at: int = -1
    due: bool = False


class Probing(pl.Callback):
    """Runs probes before the first step, whenever they are due, and after the last step.

    In between, a probe waits until probes have used less than `budget`, a fraction of the training time. Numbers go to
    every logger as probe/NAME/...; figures to figures/NAME/FIGURE-STEP.png in the run and to trackers that show images;
    histories to figures/NAME/ARRAY-STEP.npy. A probe that fails is reported once and dropped; the training continues.

    subjects: the modules to inspect, by `probes.probe.Subject`.
    """

    def __init__(self, scheduled: Sequence[Scheduled], subjects: Mapping[str, nn.Module], budget: float):
        self.scheduled = list(scheduled)
        self.subjects = subjects
        self.budget = budget
        self.spent = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.monotonic()
        self.step = trainer.global_step
        logged = next((logger for logger in trainer.loggers if isinstance(logger, MetricsCsv)), None)
        for probe in (vars(one.probe) for one in self.scheduled):
            if logged is not None and "history" in probe:
                probe["history"] = logged.history
        if self.step == 0:
            self.look(trainer, self.scheduled)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients are still accumulating
        self.step = trainer.global_step
        self.look_if_due(trainer, "steps", self.step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.look_if_due(trainer, "epochs", trainer.current_epoch + 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.look(trainer, [one for one in self.scheduled if one.every and one.looked_at < trainer.global_step])

    def look_if_due(self, trainer: pl.Trainer, unit: str, count: int) -> None:
        for one in self.scheduled:
            one.due |= one.unit == unit and one.every > 0 and count % one.every == 0
        waiting = sorted((one for one in self.scheduled if one.due), key=lambda one: one.looked_at)
        for one in waiting:
            if self.spent + one.seconds > self.budget * (time.monotonic() - self.started):
                break  # a cheaper probe must not jump the queue, or expensive ones would never run
            self.look(trainer, [one])

    def look(self, trainer: pl.Trainer, chosen: Sequence[Scheduled]) -> None:
        for one in list(chosen) if trainer.is_global_zero else ():
            for progress in (c for c in trainer.callbacks if isinstance(c, TrainingProgress)):  # pyright: ignore[reportAttributeAccessIssue]
                progress.busy(f"looking inside: {one.name}")
            start = time.monotonic()
            try:
                with own_randomness():
                    self.answer(trainer, one)
            except Exception as error:  # no failure of a probe may end the training
                self.scheduled.remove(one)
                reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                tell(f"--probe {one.name}: failed and is dropped; the training continues: {reason}")
            one.seconds = time.monotonic() - start
            one.looked_at, one.due = trainer.global_step, False
            self.spent += one.seconds
            share = self.spent / max(time.monotonic() - self.started, 1e-9)
            record(trainer, {f"probe/{one.name}/seconds": one.seconds, "probe/share_of_time": share})

    def answer(self, trainer: pl.Trainer, one: Scheduled) -> None:
        subject = self.subjects.get(one.probe.subject)
        if subject is None:
            raise UserError(f"it needs a {one.probe.subject}, which this training lacks; leave this --probe out")
        finding = one.probe(subject, one.images, one.masks)
        record(trainer, {f"probe/{one.name}/{name}": value for name, value in finding.numbers.items()})
        folder = Path(trainer.default_root_dir, "figures", one.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name, plot in finding.figures.items():
            file = folder / f"{name}-{trainer.global_step:07d}.png"
            plot.save(file)
            log_figure(trainer, f"{one.name}/{name}", plot, file)
        for name, array in finding.history.items():
            np.save(folder / f"{name}-{trainer.global_step:07d}.npy", array)
        log_scenes(trainer, f"{one.name}/scenes", finding.scenes)


def record(trainer: pl.Trainer, numbers: Mapping[str, float]) -> None:
    finite = {name: value for name, value in numbers.items() if value == value}
    for logger in trainer.loggers:
        logger.log_metrics(finite, step=trainer.global_step)
        logger.save()
