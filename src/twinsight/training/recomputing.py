"""What a forward that is computed again must not count twice."""

import lightning.pytorch as pl
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class Recomputing(pl.Callback):
    """Keeps batch norm's running statistics as the forward left them: computed again, a batch would count twice."""

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        norms = [module for module in pl_module.modules() if isinstance(module, _BatchNorm) and module.training]
        self.kept = [(norm, dict(norm._buffers)) for norm in norms]
        for norm, buffers in self.kept:
            norm._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for norm, buffers in self.kept:
            norm._buffers.update(buffers)
