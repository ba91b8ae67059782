"""Keeps recomputed forwards from updating batch-norm statistics twice."""

import lightning.pytorch as pl
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class Recomputing(pl.Callback):
    """Restores batch norm's running statistics after the backward, which would count recomputed batches twice."""

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        norms = [module for module in pl_module.modules() if isinstance(module, _BatchNorm) and module.training]
        self.kept = [(norm, dict(norm._buffers)) for norm in norms]
        for norm, buffers in self.kept:
            norm._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for norm, buffers in self.kept:
            norm._buffers.update(buffers)
