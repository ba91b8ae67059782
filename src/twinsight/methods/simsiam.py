"""SimSiam: two views predict each other; a stopped gradient alone prevents a collapse."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import GlobalBatchNorm1d, at_least_float32, each_view, mlp
from twinsight.methods.collapse import collapse


class SimSiam(nn.Module):
    """Exploring Simple Siamese Representation Learning (Chen and He, 2021).

    backbone: becomes `trunk`, the only encoder, which is kept after training.
    views: two augmented views of an image.
    dim: width of the projector's three layers, and of what is compared; 2048 in the paper.
    hidden: width of the predictor's bottleneck; 512 in the paper.

    The predictor's learning rate follows the schedule, as in the paper's first experiments; the official code can keep
    it fixed, for 0.4 points more on ImageNet.
    """

    def __init__(self, backbone: Backbone, views: MultiView, dim: int = 2048, hidden: int = 512):
        super().__init__()
        self.trunk = backbone
        self.projector = mlp([backbone.dim, dim, dim, dim], norm_last=True)
        self.predictor = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), GlobalBatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, dim)
        )
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the views of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        z1, z2 = each_view(self.projector, [self.trunk(view) for view in views])
        p1, p2 = each_view(self.predictor, [z1, z2])
        return {"loss": (distance(p1, z2.detach()) + distance(p2, z1.detach())) / 2, **collapse(z1)}

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the projections that the loss compares."""
        return self.projector(self.trunk(images))


def distance(p: Tensor, z: Tensor) -> Tensor:
    """The paper's D: minus the mean cosine similarity of (B, dim) pairs, from -1 (equal) to 1."""
    return -F.cosine_similarity(at_least_float32(p), at_least_float32(z)).mean()
