"""What keeps a run safe: its last checkpoint, Ctrl-C, and a loss that is no number."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl

from twinsight.data.loader import Loader
from twinsight.errors import UserError

End = Literal["done", "interrupted", "out of time"]
"""How a training ended."""


class LastCheckpoint(pl.Callback):
    """Keeps `file` the state to resume from: at the ends of epochs, and after the step at hand on Ctrl-C or
    out of time.

    loader: of the training's batches. minutes: how long to train at most. seconds: least time between two
    checkpoints at the ends of epochs. The place in the data is saved too, and all that is random depends on
    the seed and that place (see `OwnNoise`), so that a resumed run comes to the same weights. Comes after the
    callbacks that average weights.
    """

    def __init__(self, file: Path, loader: Loader, minutes: float | None = None, seconds: float = 60.0):
        self.file = file
        self.loader = loader
        self.seconds = seconds
        self.end: End = "done"
        self.saved_at = time.monotonic()
        self.deadline = None if minutes is None else self.saved_at + 60 * minutes
        self.restored: dict[str, Any] = {}
        self.stop, self.ask_at, self.steps, self.asked_at = False, 0, 1, self.saved_at

    def interrupt(self, *_: Any) -> None:
        if self.end == "interrupted":  # asked twice: at once
            raise KeyboardInterrupt
        self.end = "interrupted"
        print(
            "\ninterrupted: finishing this step, then saving (again: stop at once)",
            file=sys.stderr,
            flush=True,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Only now, since Lightning takes SIGTERM for itself just before.
        self.previous = {s: signal.signal(s, self.interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
        if self.restored:
            # Lightning would restore the loader too, but not once a module has asked it for the number of
            # steps.
            self.loader.load_state_dict(self.restored["loader"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline and self.end == "done":
            self.end = "out of time"
        if batch_idx >= self.ask_at:
            self.ask(trainer, batch_idx)
        updated = (batch_idx + 1) % trainer.accumulate_grad_batches == 0  # no gradients wait to be added to
        if self.stop and updated and not trainer.is_last_batch:
            self.save(trainer)
            trainer.should_stop = True
            if self.end == "interrupted":
                trainer.limit_val_batches = 0  # nobody waits for a validation then

    def on_train_epoch_start(self, *args: Any, **kwargs: Any) -> None:
        self.ask_at = 0

    def ask(self, trainer: pl.Trainer, step: int) -> None:
        """Whether the first process is to stop. To ask, processes wait for one another, and for their GPUs: so several
        ask some five times a second rather than each step, when the first one says.
        """
        now = time.monotonic()
        steps = 2 * self.steps if now - self.asked_at < 0.2 else max(1, self.steps // 2)
        answer = self.end != "done", steps if trainer.world_size > 1 else 1
        self.stop, self.steps = trainer.strategy.broadcast(answer)
        self.ask_at, self.asked_at = step + self.steps, now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_last_batch:
            return  # stopped within the epoch, and saved
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        due = time.monotonic() - self.saved_at > self.seconds or self.end != "done" or last
        if trainer.strategy.broadcast(due):
            self.save(trainer)
        trainer.should_stop |= trainer.strategy.broadcast(self.end != "done")

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        for number, handler in getattr(self, "previous", {}).items():
            signal.signal(number, handler)

    on_exception = on_train_end

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
                f"{self.file}: could not be written at step {trainer.global_step} ({error}); make room, "
                f"then go on from "
                "the checkpoint before it, if there is one, with --resume"
            ) from error
        self.saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"loader": self.loader.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.restored = state_dict
