"""A self-supervised method in Lightning's loop."""

from typing import Any, cast

import lightning.pytorch as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from twinsight.backbones.backbone import Backbone
from twinsight.data.batched_color import recolor_views
from twinsight.data.loader import ViewBatch
from twinsight.methods.attention_term import AttentionTerm
from twinsight.methods.method import AfterBackward, AfterStep, Method, check_method, scalars_of, wants_labels
from twinsight.training.exact import in_parts
from twinsight.training.optim import Optimization, peak_rate


class Pretrainer(pl.LightningModule):
    """Trains a self-supervised method.

    method: see `Method`; its hooks get the progress at the update's forward.
    attention: a term added to the loss. parts: split batches for the backbones, see `in_parts`; cannot be combined with
    `attention`, which is recorded on the whole batch.
    """

    def __init__(
        self, method: nn.Module, optimization: Optimization, attention: AttentionTerm | None = None, parts: int = 1
    ):
        super().__init__()
        check_method(method)
        self.method = method
        self.optimization = optimization
        self.attention = attention
        self.parts = parts

    @property
    def progress(self) -> float:
        """Fraction of the run that is done, 0 to 1."""
        return min(1.0, self.global_step / self.trainer.estimated_stepping_batches)

    @property
    def typed(self) -> Method:
        """The method, as its protocol."""
        return cast(Method, self.method)

    def on_after_batch_transfer(self, batch: ViewBatch, dataloader_idx: int) -> ViewBatch:
        if batch.params is None:
            return batch
        return batch._replace(views=recolor_views(batch.views, batch.params.images, self.typed.views()), params=None)

    def training_step(self, batch: ViewBatch, batch_idx: int) -> Tensor:
        with in_parts(self.method, self.parts):
            scalars = losses(self.method, self.attention, batch, self.progress)
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in scalars.items()}, batch_size=len(batch.indices)
        )
        self.log("train/lr", peak_rate(self))
        return scalars["loss"]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        if isinstance(self.method, AfterBackward):
            self.method.after_backward(self.progress)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # Not in on_train_batch_end, which runs after the callbacks' hook: checkpoints would miss this change.
        progress = self.progress
        super().optimizer_step(*args, **kwargs)
        if isinstance(self.method, AfterStep):
            self.method.after_step(progress)

    def configure_optimizers(self) -> Any:
        backbones = [
            (name, module)
            for name, module in self.method.named_modules()
            if isinstance(module, Backbone) and any(parameter.requires_grad for parameter in module.parameters())
        ]
        depth = {f"{prefix}.{name}": layer for prefix, b in backbones for name, layer in b.layer_ids().items()}
        optimizer = self.optimization.optimizer(self.optimization.groups(self.method, depth))
        schedule = self.optimization.scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def subjects(method: nn.Module) -> dict[str, nn.Module]:
    """The modules that probes can inspect, by subject."""
    trunk = cast(Method, method).trunk
    return {"method": method, "backbone": trunk, "network": trunk}


def losses(method: nn.Module, attention: AttentionTerm | None, batch: ViewBatch, progress: float) -> dict[str, Tensor]:
    """The loss and other scalars to log."""
    labels = {"labels": batch.labels} if batch.labels is not None and wants_labels(method) else {}
    if attention is None:
        return scalars_of(method, method(batch.views, progress=progress, **labels))
    return attention(method, batch.views, batch.crops, progress, **labels)
