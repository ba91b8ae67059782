"""Makes every checkpoint one of the last update, from which a resumed run continues exactly."""

from copy import deepcopy
from functools import partial
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging

from twinsight.data.loader import Loader
from twinsight.training.boundary import Boundary
from twinsight.training.metrics_csv import MetricsCsv
from twinsight.training.signals import Signals


class AtUpdates(pl.Callback):
    """Every checkpoint holds the state at the last update: the weights, and the position in the data, which with the
    seed determines all random numbers (see `OwnNoise`). So a resumed run reaches the same weights as an uninterrupted
    one, bit for bit on one device, and a signal need not wait for the end of a step or validation.

    loader: of the training batches. updated: whether nothing has changed since the last update. Must come after all
    callbacks that change state.
    """

    def __init__(self, loader: Loader, signals: Signals):
        self.loader = loader
        self.signals = signals
        self.restored: dict[str, Any] = {}
        self.boundary: Boundary | None = None
        self.updated = self.validating = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.restored = {"loops": deepcopy(checkpoint["loops"]["fit_loop"]), "callbacks": checkpoint["callbacks"]}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.take()
        if self.restored:
            # Lightning would restore the loader, but not after a module has asked for the number of steps.
            self.loader.load_state_dict(self.restored["callbacks"][self.state_key]["loader"])
            for logger in metrics(trainer):
                logger.cut(trainer.global_step)
        self.boundary = Boundary.of(trainer)
        if self.restored:
            self.boundary.loops, self.boundary.callbacks = self.restored["loops"], self.restored["callbacks"]
        # Not at the end of the previous step: Lightning logs its numbers only after all callbacks.
        self.loader.on_wait = partial(self.may_stop, trainer)

    def on_before_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.signals.sound = self.updated = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.updated = (batch_idx + 1) % trainer.accumulate_grad_batches == 0  # no accumulated gradients
        if self.updated and not trainer.is_last_batch:
            self.boundary = Boundary.of(trainer, self.boundary)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.boundary = Boundary.ahead_of_validation(trainer, self.boundary)
        trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset()  # of a validation resumed here

    def on_validation_epoch_start(self, *args: Any, **kwargs: Any) -> None:
        self.validating = True  # averaged weights, if any, have replaced the module's

    def on_validation_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self.may_stop(trainer)

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.signals.sound = False

    def on_validation_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        self.validating = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.boundary = Boundary.of(trainer, self.boundary)
        self.updated = True

    def may_stop(self, trainer: pl.Trainer) -> None:
        """From here on, a signal stops the training at once, unless other processes would wait for this one."""
        self.signals.sound = trainer.world_size == 1
        self.signals.check()

    def roll_back(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the state of the last update, from within a step or validation that will not finish."""
        assert self.boundary is not None
        if self.validating:
            for averaging in (c for c in trainer.callbacks if isinstance(c, WeightAveraging)):  # pyright: ignore[reportAttributeAccessIssue]
                averaging.on_validation_epoch_end(trainer, pl_module)
        self.boundary.roll_back(pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.boundary is not None:
            self.boundary.write_into(checkpoint)

    def state_dict(self) -> dict[str, Any]:
        return {"loader": self.loader.state_dict()}


def metrics(trainer: pl.Trainer) -> list[MetricsCsv]:
    return [logger for logger in trainer.loggers if isinstance(logger, MetricsCsv)]
