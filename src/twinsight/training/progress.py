"""Progress of a training: a bar in a terminal, occasional lines in a pipe."""

import sys
import time
from collections import deque
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from twinsight.console import NOTEBOOK, SILENCE, Line
from twinsight.device import Device


class TrainingProgress(pl.Callback):
    """Epoch, loss, images/s, memory and time left.

    title: a word or two in front of the bar. shown: logged scalars to show beside the loss. device: whose memory to
    show.
    """

    def __init__(self, title: str, shown: tuple[str, ...], device: Device):
        self.title = title
        self.device = device
        self.shown = shown
        self.console = Console(file=sys.stderr, force_jupyter=False, force_terminal=False if NOTEBOOK else None)
        self.line = Line()
        self.recent: deque[tuple[float, int]] = deque(maxlen=50)  # (time, images done); drops the slow first steps
        self.images = 0
        self.last_line = self.shown_at = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.steps = int(trainer.estimated_stepping_batches)
        self.bar = Progress(
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=20)] if self.console.width >= 100 else []),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[facts]}", table_column=Column(ratio=1, no_wrap=True)),  # the remaining width
            console=self.console,
            disable=not self.console.is_terminal,
            refresh_per_second=4,
            expand=True,
        )
        self.task = self.bar.add_task(self.title, total=self.steps, completed=trainer.global_step, facts="")
        self.bar.start()
        self.recent.append((time.monotonic(), 0))
        self.say(f"{self.steps} steps, waiting for the first batch")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        self.images += images_in(batch) * trainer.world_size
        self.recent.append((now, self.images))
        self.bar.update(self.task, completed=trainer.global_step)
        if now - self.shown_at > (0.5 if self.console.is_terminal or NOTEBOOK else SILENCE):
            self.shown_at = now
            self.show(trainer, now)

    def show(self, trainer: pl.Trainer, now: float) -> None:
        (since, before) = self.recent[0]
        speed = (self.images - before) / max(now - since, 1e-9)
        values = [
            f"{k.split('/')[-1]} {v:.4g}" for k in ("train/loss", *self.shown) if (v := logged(trainer, k)) is not None
        ]
        facts = "  ".join(
            [
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
                *values,
                f"{speed:.0f} img/s",
                f"{self.device.peak_memory() / 1e9:.1f} GB{' GPU' * self.device.cuda}",
            ]
        )
        self.bar.update(self.task, facts=facts)
        if not self.console.is_terminal:
            done = min(1.0, trainer.global_step / self.steps)
            rate = (len(self.recent) - 1) / max(now - since, 1e-9)
            left = max(0, self.steps - trainer.global_step) / max(rate, 1e-9) * trainer.accumulate_grad_batches
            self.say(f"{done:4.0%}  {facts}  {timedelta(seconds=round(left))} left")

    def busy(self, what: str) -> None:
        """Show what delays the next step."""
        self.bar.update(self.task, facts=what)
        if time.monotonic() - self.last_line > SILENCE:
            self.say(what)

    def say(self, line: str) -> None:
        """Print a line if there is no bar."""
        if NOTEBOOK:
            self.line.show(f"{self.title}  {line}")
        elif not self.console.is_terminal:
            self.last_line = time.monotonic()
            print(f"{self.title}  {line}", file=sys.stderr, flush=True)

    def on_validation_start(self, *args: Any, **kwargs: Any) -> None:
        self.say("validating")

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if not trainer.sanity_checking and hasattr(self, "bar"):
            done = kwargs.get("batch_idx", args[3] if len(args) > 3 else 0) + 1
            total = sum(int(n) for n in trainer.num_val_batches)
            self.busy(f"validating {done}/{total}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.end()

    def end(self) -> None:
        self.bar.stop()
        self.line.end()


def logged(trainer: pl.Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)


def images_in(batch: Any) -> int:
    """Number of images in a batch of any kind; views of one image count once."""
    first = batch[0]
    return len(first[0]) if isinstance(first, list) else len(first)
