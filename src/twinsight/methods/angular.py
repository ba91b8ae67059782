"""The angular loss: two images of a class and one of another make a triangle, whose angle at the latter is bounded."""

import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import gather, gather_over_ranks, rank, shapes_only
from twinsight.methods.metric_learning import MetricLearning, losses


class Angular(MetricLearning):
    """Deep Metric Learning with Angular Loss (Wang et al., 2017), by pytorch-metric-learning.

    Every two images of a class, in the batch of all processes, are compared with all images of other classes; the paper
    takes one pair of a class.

    backbone: becomes `trunk`, which is kept after training.
    classes: their number.
    alpha: bound of the angle, in degrees; 36 to 55 in the paper.
    views: one augmented view.
    """

    def __init__(self, backbone: Backbone, classes: int, views: MultiView, alpha: float = 40.0):
        super().__init__(backbone, views)
        self.classes, self.alpha = classes, alpha

    def compare(self, embedding: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A batch without two images of a class, or without two classes, has a loss of 0."""
        everyone, known = gather_over_ranks(embedding), gather(labels)
        if shapes_only(embedding):  # which images are pairs is unknown: as many as in a batch of equal classes
            pairs = everyone.repeat(-(-len(everyone) // self.classes), 1)
            return ((pairs + pairs.roll(1, 0)) @ everyone.T).logsumexp(1).mean(), labels
        similarity = embedding.detach() @ everyone.detach().T
        itself = torch.arange(len(labels), device=labels.device)
        similarity[itself, itself + rank() * len(labels)] = -torch.inf
        return losses().AngularLoss(self.alpha)(everyone, known), known[similarity.argmax(1)]
