"""Memory for time: what the forward forgets is computed again in the backward."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of `forward`, which the backward calls again, with the random state of the first time.

    Gradients are the same. So are batch norm's running statistics, if `Recomputing` watches the training.
    """
    # A list may grow once it has been read: DenseNet appends to the one that it passes on.
    kept = [list(arg) if isinstance(arg, list) else arg for arg in args]
    return checkpoint(forward, *kept, use_reentrant=False, **kwargs)


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
