"""Metric learning: the embeddings of images of one class come together, by a loss of pytorch-metric-learning."""

from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, full_precision


class MetricLearning(nn.Module):
    """The loss compares the backbone's embeddings, as vectors of length 1.

    backbone: becomes `trunk`, which is kept after training.
    views: one augmented view.
    """

    def __init__(self, backbone: Backbone, views: MultiView):
        super().__init__()
        self.trunk = backbone
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the view of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float, labels: Tensor) -> dict[str, Tensor]:
        """views: one (B, 3, H, W) batch, uint8 or float in [0, 1]; labels: (B,) int64; progress: unused."""
        # In float32, since the losses cast their weights to the type of the embeddings, for good.
        embedding = at_least_float32(self.trunk(views[0]))
        with full_precision(embedding.device):
            loss, found = self.compare(F.normalize(embedding, dim=1), labels)
        return {"loss": loss, "accuracy": (found == labels).to(loss.dtype).mean().detach()}

    @abstractmethod
    def compare(self, embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) vectors of length 1, (B,) -> the loss, and (B,) the class that is nearest to each image."""


def losses() -> Any:
    """The module of the losses, which takes a second to import."""
    return import_module("pytorch_metric_learning.losses")
