"""Makes dropout and stochastic depth depend only on the seed, the process and the step."""

import lightning.pytorch as pl
import numpy as np
import torch


class OwnNoise(pl.Callback):
    """Seeds each process at each step: random numbers differ between processes, as in DINOv2, and repeat in a resumed
    run without any saved state.

    With one seed for all, as in DINO's code, every process would drop the same blocks at the same positions of its
    batch. Random numbers used by probes and validation have no effect. Views and crops have their own seeds, by image
    and epoch.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        key = np.random.SeedSequence([self.seed, trainer.global_rank, trainer.current_epoch, batch_idx])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0]))
