"""Dropout and stochastic depth draw from the seed, the process and the step alone."""

import lightning.pytorch as pl
import numpy as np
import torch


class OwnNoise(pl.Callback):
    """Seeds each process anew at each step: what the network draws then is the process's own, as in DINOv2, and the
    same in a resumed run, since nothing has to be remembered.

    With one seed for all, as in DINO's code, every process would drop the same blocks at the same places of its batch.
    What probes and validation draw in between changes nothing. Views and crops have seeds of their own, by image and
    epoch.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        key = np.random.SeedSequence([self.seed, trainer.global_rank, trainer.current_epoch, batch_idx])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0]))
