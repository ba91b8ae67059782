"""A self-supervised method in Lightning's loop."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn

from twinsight.training.optim import Optimization, peak_rate


class Pretrainer(pl.LightningModule):
    """Trains `method`, a module with `forward(views, progress) -> {"loss": ..., scalars to log}`."""

    def __init__(self, method: nn.Module, optimization: Optimization):
        super().__init__()
        self.method = method
        self.optimization = optimization

    def subjects(self) -> dict[str, nn.Module]:
        """The modules that probes can ask."""
        trunk: Any = self.method.trunk
        return {"method": self.method, "backbone": trunk, "network": trunk}

    def training_step(self, batch: tuple[list[Tensor], Tensor], batch_idx: int) -> Tensor:
        views, _ = batch
        steps = self.trainer.estimated_stepping_batches
        scalars = self.method(views, progress=self.global_step / steps)
        self.log_dict({f"train/{name}": value.detach() for name, value in scalars.items()}, batch_size=len(views[0]))
        self.log("train/lr", peak_rate(self))
        return scalars["loss"]

    def configure_optimizers(self) -> Any:
        trunk: Any = self.method.trunk
        depth = {f"trunk.{name}": layer for name, layer in trunk.layer_ids().items()}
        optimizer = self.optimization.optimizer(self.optimization.groups(self.method, depth))
        schedule = self.optimization.scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
