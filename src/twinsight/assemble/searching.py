"""What a few steps tell about a training: its learning rate, its pace."""

import time
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.tuner.tuning import Tuner

from twinsight.data.loader import Loader
from twinsight.device import Device, own_randomness
from twinsight.errors import UserError
from twinsight.training.trainer import LIGHTNING, quiet

PACE = 3, 10.0
"""Steps and seconds that measuring the pace takes at least; the first step does not count."""


def found_lr(module: pl.LightningModule, loader: Loader, device: Device) -> float:
    """The rate at which the loss falls fastest in a sweep over rates (Smith, 2017)."""
    quiet()
    with TemporaryDirectory() as folder, own_randomness():
        trainer = pl.Trainer(
            accelerator=device.name, devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            max_epochs=1000, default_root_dir=folder,
        )  # fmt: skip
        finder = Tuner(trainer).lr_find(module, loader, num_training=60, update_attr=False)
    rate = finder.suggestion() if finder is not None else None
    if rate is None:
        raise UserError("--find-lr: the loss never fell in 60 steps; give --lr instead")
    return rate


def seconds_per_step(module: pl.LightningModule, loader: Loader, device: Device, precision: str) -> float:
    """The mean time of a few real steps, loading included, which train the module."""
    quiet()
    clock = Clock()
    with TemporaryDirectory() as folder, own_randomness():
        trainer = pl.Trainer(
            accelerator=device.name, devices=1, precision=LIGHTNING[device.precision(precision)], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False, max_epochs=1000, default_root_dir=folder, callbacks=[clock],
        )  # fmt: skip
        trainer.fit(module, loader)
    return (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1)


class Clock(pl.Callback):
    """Notes when each step ends, and ends the training once that is enough."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())
        steps, seconds = PACE
        trainer.should_stop = len(self.ends) > steps and self.ends[-1] - self.ends[0] > seconds
