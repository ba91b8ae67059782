"""What keeps a run safe: its last checkpoint, Ctrl-C, and a loss that is no number."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from twinsight.errors import UserError


class LastCheckpoint(pl.Callback):
    """Keeps `file` the state to resume from: at the ends of epochs, at the end, and on Ctrl-C after the step at hand.

    seconds: least time between two checkpoints at the ends of epochs. The random state is saved too, so that a
    resumed run comes to the same weights.
    """

    def __init__(self, file: Path, seconds: float = 60.0):
        self.file = file
        self.seconds = seconds
        self.interrupted = False
        self.saved_at = time.monotonic()
        self.saved_step = -1
        self.random: Tensor | None = None

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.previous = {s: signal.signal(s, self.interrupt) for s in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(self, *_: Any) -> None:
        if self.interrupted:  # asked twice: at once
            raise KeyboardInterrupt
        self.interrupted = True
        print("\ninterrupted: finishing this step, then saving (again: stop at once)", file=sys.stderr, flush=True)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.random is not None:
            torch.set_rng_state(self.random)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        if self.interrupted and not trainer.should_stop:
            self.save(trainer)
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        due = trainer.strategy.broadcast(time.monotonic() - self.saved_at > self.seconds)
        if due and not self.interrupted:
            self.save(trainer)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.interrupted:
            self.save(trainer)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        for number, handler in getattr(self, "previous", {}).items():
            signal.signal(number, handler)

    def save(self, trainer: pl.Trainer) -> None:
        """Write to a temporary name, then rename."""
        temporary = self.file.with_suffix(".tmp")
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                os.replace(temporary, self.file)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise UserError(
                f"{self.file}: could not be written at step {trainer.global_step} ({error}); the checkpoint before it "
                "is whole; make room and go on with --resume"
            ) from error
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        return {"random": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.random = state_dict["random"]


class StopOnNan(pl.Callback):
    """Ends the run at a loss that is not finite, before any checkpoint takes it in.

    The loss is looked at where it lies (on the device) at each step, and read from there only every `every` steps.
    """

    def __init__(self, every: int, last: Path):
        self.every = every
        self.last = last
        self.first: Tensor | None = None  # the first bad step, or -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach()
        if self.first is None:
            self.first = torch.full_like(loss, -1)
        good = loss.isfinite() | (self.first >= 0)
        self.first = torch.where(good, self.first, float(trainer.global_step))
        if trainer.global_step % self.every == 0:
            self.check()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.check()

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.check()

    def check(self) -> None:
        if self.first is not None and self.first >= 0:
            kept = f"{self.last} is the last good checkpoint" if self.last.exists() else "no checkpoint was due yet"
            raise UserError(
                f"--lr: the loss is not a number any more at step {int(self.first)}; {kept}; try a smaller --lr, "
                "--clip 1, longer --warmup-epochs or --precision fp32"
            )
