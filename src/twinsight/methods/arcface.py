"""ArcFace: images lie nearer to the center of their class than to any other, by an angle."""

from typing import Any

from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import shapes_only
from twinsight.methods.metric_learning import MetricLearning, losses


class ArcFace(MetricLearning):
    """ArcFace: Additive Angular Margin Loss for Deep Face Recognition (Deng et al., 2019), by pytorch-metric-learning.

    backbone: becomes `trunk`, which is kept after training.
    classes: their number.
    margin: degrees that are added to the angle between an image and the center of its class; 28.6 (half a radian) in
        the paper.
    scale: multiplies the cosines; 64 in the paper, for 85,000 classes.
    views: one augmented view.
    """

    def __init__(self, backbone: Backbone, classes: int, views: MultiView, margin: float = 28.6, scale: float = 64.0):
        super().__init__(backbone, views)
        self.loss: Any = losses().ArcFaceLoss(classes, backbone.dim, margin=margin, scale=scale)  # with the centers

    def compare(self, embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean over images needs no other process's: the mean over processes is that of the global batch."""
        logits = self.loss.get_logits(embedding)
        if shapes_only(embedding):  # the loss looks up cosines by label
            return logits.mean(), labels
        return self.loss(embedding, labels), logits.argmax(1)
