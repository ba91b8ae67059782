"""A segmentation model in Lightning's loop."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from twinsight.data.loader import Batch
from twinsight.methods.method import AfterStep
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.losses import SegmentationLoss
from twinsight.segmentation.metrics import ConfusionMatrix, Scores
from twinsight.segmentation.model import SegmentationModel
from twinsight.training.optim import Optimization, peak_rate


class Segmenter(pl.LightningModule):
    """Trains a segmenter and validates it on whole images at their original size.

    head_lr: peak learning rate of the heads; the backbone's is in `optimization`.
    aux_weight: weight of the auxiliary head's loss, if the model has one.
    """

    scores: Scores | None = None
    """Scores of the last validation."""

    def __init__(
        self,
        model: SegmentationModel,
        loss: SegmentationLoss,
        num_classes: int,
        optimization: Optimization,
        head_lr: float,
        inference: Inference,
        aux_weight: float = 0.0,
    ):
        super().__init__()
        self.model = model
        self.loss = loss
        self.confusion = ConfusionMatrix(num_classes)
        self.optimization = optimization
        self.head_lr = head_lr
        self.inference = inference
        self.aux_weight = aux_weight

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        assert batch.masks is not None
        losses = self.model.losses(batch.images, batch.masks, self.loss)
        loss = losses[0] + self.aux_weight * sum(losses[1:])
        self.log("train/loss", loss.detach(), batch_size=len(batch.images))
        self.log("train/lr", peak_rate(self))
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        progress = min(1.0, self.global_step / self.trainer.estimated_stepping_batches)
        super().optimizer_step(*args, **kwargs)
        if isinstance(self.model.head, AfterStep):
            self.model.head.after_step(progress)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert batch.masks is not None
        self.confusion.update(self.inference.classes(self.model, batch.images), batch.masks)

    def on_validation_epoch_end(self) -> None:
        self.scores = self.confusion.compute()
        self.confusion.reset()
        self.log_dict({f"val/{name}": value for name, value in self.scores.scalars().items()}, rank_zero_only=True)

    def configure_optimizers(self) -> Any:
        groups = self.optimization.groups(self.model.backbone, self.model.backbone.layer_ids())
        for head in (self.model.head, self.model.aux):
            if head is not None:
                groups += self.optimization.groups(head, lr=self.head_lr)
        optimizer = self.optimization.optimizer(groups)
        schedule = self.optimization.scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
