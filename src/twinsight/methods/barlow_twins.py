"""Barlow Twins: make the cross-correlation of two views' embeddings the identity."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import mean_over_ranks, mlp, standardize


class BarlowTwins(nn.Module):
    """Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021).

    backbone: becomes `trunk`, what is worth keeping after training.
    projector: widths of the projector's layers, 8192 8192 8192 in the paper.
    lambd: weight of the off-diagonal terms, 0.0051 in the paper.
    views: the two pipelines of augmentation.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (8192,) * 3,
        lambd: float = 0.0051,
    ):
        super().__init__()
        self.trunk = backbone
        self.projector = mlp([backbone.dim, *projector])
        self.lambd = lambd
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes this method's views of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        z1, z2 = map(self.project, views)
        invariance, redundancy = barlow_twins_loss(z1, z2)
        return {
            "loss": invariance + self.lambd * redundancy,
            "invariance": invariance.detach(),
            "redundancy": redundancy.detach(),
        }

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D), what the loss is taken of."""
        return self.projector(self.trunk(images))


def barlow_twins_loss(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """Two (B, D) batches of embeddings -> (sum of (1 - C_ii)^2, sum of C_ij^2 off the diagonal).

    C is the cross-correlation (D, D) over the global batch of all processes, in float32 under any autocast
    (in bfloat16 the off-diagonal terms would drown in rounding). Weigh the second term by lambda and add.
    """
    c = cross_correlation(z1, z2)
    dim = len(c)
    off_diagonal = c.flatten()[1:].view(dim - 1, dim + 1)[:, :-1]  # drops every (dim + 1)-th element
    return (1 - c.diagonal()).square().sum(), off_diagonal.square().sum()


def cross_correlation(z1: Tensor, z2: Tensor) -> Tensor:
    """(B, D), (B, D) -> (D, D): correlation of every pair of features over the global batch, in [-1, 1]."""
    with torch.autocast(z1.device.type, enabled=False):
        return mean_over_ranks(standardize(z1).T @ standardize(z2) / len(z1))
