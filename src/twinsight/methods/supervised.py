"""Supervised classification, as a baseline for what is learned without labels."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32


class Supervised(nn.Module):
    """Cross-entropy with label smoothing (Szegedy et al., 2016) over a linear classifier.

    backbone: becomes `trunk`, which is kept after training.
    classes: their number.
    label_smoothing: fraction of each target that is spread evenly over all classes.
    views: one augmented view.
    """

    def __init__(self, backbone: Backbone, classes: int, views: MultiView, label_smoothing: float = 0.1):
        super().__init__()
        self.trunk = backbone
        self.classifier = nn.Linear(backbone.dim, classes)
        self.label_smoothing = label_smoothing
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the view of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float, labels: Tensor) -> dict[str, Tensor]:
        """views: one (B, 3, H, W) batch, uint8 or float in [0, 1]; labels: (B,) int64; progress: unused."""
        logits = at_least_float32(self.classifier(self.trunk(views[0])))
        return {
            "loss": F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing),
            "accuracy": (logits.argmax(1) == labels).to(logits.dtype).mean(),
        }
