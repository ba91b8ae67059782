"""Learning rate search."""

from tempfile import TemporaryDirectory

import lightning.pytorch as pl
from lightning.pytorch.tuner.tuning import Tuner

from twinsight.data.loader import Loader
from twinsight.device import Device, own_randomness
from twinsight.errors import UserError
from twinsight.training.trainer import quiet


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
