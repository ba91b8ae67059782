"""Ends a training whose loss is not finite."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from twinsight.errors import UserError
from twinsight.training.diagnosis import CALMER, Cause, bad_gradient, bad_images, bad_start, bad_step, bad_weights


class StopOnNan(pl.Callback):
    """Ends the run at a loss that is not finite, before a checkpoint includes it, and names the first bad value.

    A single process on a CPU, or with `every` 1, checks each loss before the update, so that the step can be repeated
    with the same weights. Otherwise that would stall the device: the check stays on the device and is read only every
    `every` steps, when the weights have already become invalid.
    """

    def __init__(self, every: int, last: Path):
        self.every = every
        self.last = last
        self.first: Tensor | None = None  # the first bad step, or -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begun = trainer.global_step
        self.at_once = trainer.world_size == 1 and (pl_module.device.type == "cpu" or self.every == 1)
        self.low = trainer.precision != "32-true"

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        if not self.at_once or loss.isfinite().all():
            return
        if trainer.global_step == self.begun:
            cause = bad_start(pl_module)
        else:
            cause = bad_gradient(pl_module, self.low, updated=True)
        dataset = getattr(getattr(trainer.train_dataloader, "dataset", None), "dataset", None)
        cause = cause or bad_images(self.batch[0], dataset)
        self.stop(trainer.global_step + 1, cause or bad_step(trainer, pl_module, *self.batch, self.low))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        # Clipping would spread one bad gradient to all. Without clipping, the next loss shows it at no cost; and fp16
        # skips the update.
        if self.at_once and trainer.gradient_clip_val and trainer.precision != "16-mixed":
            gradients = [value.grad for value in pl_module.parameters() if value.grad is not None]
            if not get_total_norm(gradients).isfinite() and (cause := bad_gradient(pl_module, self.low, False)):
                self.stop(trainer.global_step + 1, cause)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.at_once:
            return
        loss = outputs["loss"].detach().float()
        if self.first is None:
            self.first = torch.full_like(loss, -1)
        good = loss.isfinite() | (self.first >= 0)
        self.first = torch.where(good, self.first, float(trainer.global_step))
        if trainer.global_step % self.every == 0:
            self.check(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.check(trainer, pl_module)
        if not all(weights.isfinite().all() for weights in pl_module.parameters()):
            cause = bad_gradient(pl_module, self.low, updated=True) if self.at_once else None
            self.stop(trainer.global_step, cause or bad_weights(pl_module))  # the next loss would be bad

    def check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.first is not None and self.first >= 0:
            self.stop(int(self.first), bad_weights(pl_module))

    def stop(self, step: int, cause: Cause | None) -> None:
        option, what, advice = cause or Cause("--lr", "the loss", CALMER)
        kept = f"{self.last} is the last good checkpoint" if self.last.exists() else "there is no checkpoint yet"
        raise UserError(f"{option}: NaN or infinite values at step {step}, first in {what}; {kept}; {advice}")
