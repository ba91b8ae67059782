"""Writes last.ckpt, from which a run is resumed."""

import signal
import time
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl

from twinsight.console import tell
from twinsight.data.loader import Loader
from twinsight.errors import UserError
from twinsight.training.checkpoints import write_checkpoint
from twinsight.training.signals import Signals, Stopped
from twinsight.training.updates import AtUpdates, metrics

End = Literal["done", "out of time"] | signal.Signals
"""How a training ended: finished, out of time, or by a signal."""


class LastCheckpoint(AtUpdates):
    """Writes `file` after the first step, every `every` minutes, at the end of an epoch if the last write is more than
    `seconds` ago, at the end of training, and after a signal, a timeout or an error.

    minutes: the time limit. Other arguments: see `AtUpdates`. Must be the last callback.
    """

    def __init__(
        self,
        file: Path,
        loader: Loader,
        signals: Signals,
        minutes: float | None = None,
        every: float = 10.0,
        seconds: float = 60.0,
    ):
        super().__init__(loader, signals)
        self.file = file
        self.every = every
        self.seconds = seconds
        self.saved_at = time.monotonic()
        self.deadline = None if minutes is None else self.saved_at + 60 * minutes
        self.out_of_time = False
        self.ask_at, self.steps, self.asked_at = 0, 1, self.saved_at

    @property
    def end(self) -> End:
        return self.signals.number or ("out of time" if self.out_of_time else "done")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.saved = bool(self.restored)
        if self.end != "done" and trainer.world_size == 1:
            raise Stopped

    def on_train_epoch_start(self, *args: Any, **kwargs: Any) -> None:
        self.ask_at = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.updated and batch_idx >= self.ask_at:
            stop, due = self.ask(trainer, batch_idx)
            if stop:
                raise Stopped
            if due or not self.saved:
                self.signals.sound = False
                self.save(trainer)
                self.may_stop(trainer)

    def ask(self, trainer: pl.Trainer, step: int) -> tuple[bool, bool]:
        """Whether the first process wants to stop, and whether it is time to save.

        Asking synchronizes the processes and their GPUs, so with several processes the first one schedules the next
        time, about five times per second rather than at every step.
        """
        now = time.monotonic()
        self.out_of_time = self.deadline is not None and now > self.deadline
        steps = 2 * self.steps if now - self.asked_at < 0.2 else max(1, self.steps // 2)
        steps = steps if trainer.world_size > 1 else 1
        answer = self.end != "done", now - self.saved_at > 60 * self.every, steps
        stop, due, self.steps = trainer.strategy.broadcast(answer)
        self.ask_at, self.asked_at = step + self.steps, now
        return stop, due

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if last or trainer.strategy.broadcast(time.monotonic() - self.saved_at > self.seconds):
            self.save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save the state of the last update, if there is one and the exception came where it can be restored."""
        stopped = isinstance(exception, Stopped)
        if not stopped and not (self.signals.sound and trainer.global_step > 0):
            return
        self.signals.sound = False
        self.roll_back(trainer, pl_module)
        try:
            self.save(trainer)
        except UserError as error:
            if not isinstance(exception, UserError):  # the user should read the first error, not this one
                tell(str(error))

    def save(self, trainer: pl.Trainer) -> None:
        for logger in metrics(trainer):
            logger.write()
        write_checkpoint(trainer, self.file)
        self.saved, self.saved_at = True, time.monotonic()
