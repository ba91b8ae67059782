"""The end of a training whose loss is not finite."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from twinsight.errors import UserError


class StopOnNan(pl.Callback):
    """Ends the run at a loss that is not finite, before any checkpoint takes it in.

    The loss is looked at where it lies (on the device) at each step, and read from there only every `every`
    steps.
    """

    def __init__(self, every: int, last: Path):
        self.every = every
        self.last = last
        self.first: Tensor | None = None  # the first bad step, or -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach().float()
        if self.first is None:
            self.first = torch.full_like(loss, -1)
        good = loss.isfinite() | (self.first >= 0)
        self.first = torch.where(good, self.first, float(trainer.global_step))
        if trainer.global_step % self.every == 0:
            self.check()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.check()
        if not all(weights.isfinite().all() for weights in pl_module.parameters()):
            self.stop(trainer.global_step)  # the loss would be so at the next step

    def check(self) -> None:
        if self.first is not None and self.first >= 0:
            self.stop(int(self.first))

    def stop(self, step: int) -> None:
        kept = f"{self.last} is the last good checkpoint" if self.last.exists() else "no checkpoint was due yet"
        raise UserError(
            f"--lr: the loss is not a number any more at step {step}; {kept}; try a smaller --lr, --clip 1, "
            f"longer "
            "--warmup-epochs or --precision fp32"
        )
