"""BYOL: a network predicts what its own moving average, the target, makes of another view."""

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, each_view, mlp
from twinsight.methods.collapse import collapse
from twinsight.methods.teacher import WithTeacher


class BYOL(WithTeacher):
    """Bootstrap Your Own Latent (Grill et al., 2020).

    backbone: becomes `trunk`, the online encoder, which is kept after training; the target is a copy.
    views: two augmented views of an image.
    hidden, dim: widths of projector and predictor, two layers each; 4096 and 256 in the paper.
    momentum: of the target at the start; rises to 1 on a cosine. 0.996 in the paper for 1000 epochs, 0.99 for 300.
    """

    def __init__(
        self, backbone: Backbone, views: MultiView, hidden: int = 4096, dim: int = 256, momentum: float = 0.996
    ):
        super().__init__(views, momentum)
        self.trunk = backbone
        self.projector = mlp([backbone.dim, hidden, dim])
        self.predictor = mlp([dim, hidden, dim])
        self.teacher = deepcopy(self.student).requires_grad_(False)
        self.train()

    @property
    def student(self) -> nn.Sequential:
        """Of the online network, what the target is a copy of."""
        return nn.Sequential(self.trunk, *self.projector)

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        z = each_view(self.projector, [self.trunk(view) for view in views])
        p1, p2 = each_view(self.predictor, z)
        with torch.no_grad():
            t1, t2 = each_view(self.teacher[1:], [self.teacher[0](view) for view in views])
        loss = distance(p1, t2) + distance(p2, t1)
        momentum = loss.new_full((), self.momentum_at(progress))
        return {"loss": loss, "momentum": momentum, **collapse(z[0])}

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the online network's projections."""
        return self.projector(self.trunk(images))


def distance(p: Tensor, t: Tensor) -> Tensor:
    """The mean squared distance of the (B, dim) vectors at length 1: from 0 (same direction) to 4."""
    return 2 - 2 * F.cosine_similarity(at_least_float32(p), at_least_float32(t)).mean()
