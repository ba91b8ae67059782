"""Barlow Twins: make the cross-correlation of two views' embeddings the identity."""

from collections.abc import Sequence

from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import each_view, full_precision, mean_over_ranks, mlp, standardize, world_size
from twinsight.methods.joint_embedding import JointEmbedding


class BarlowTwins(JointEmbedding):
    """Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021).

    backbone: becomes `trunk`, which is kept after training.
    projector: widths of the projector's layers; 8192 8192 8192 in the paper.
    lambd: weight of the off-diagonal terms; 0.0051 in the paper.
    views: the two augmentation pipelines.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (8192,) * 3,
        lambd: float = 0.0051,
    ):
        super().__init__(backbone, views, mlp([backbone.dim, *projector]))
        self.lambd = lambd

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        z1, z2 = each_view(self.projector, [self.trunk(view) for view in views])
        invariance, redundancy = barlow_twins_loss(z1, z2)
        return {
            "loss": invariance + self.lambd * redundancy,
            "invariance": invariance.detach(),
            "redundancy": redundancy.detach(),
        }


def barlow_twins_loss(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """Two (B, D) batches of projections -> (sum of (1 - C_ii)^2, sum of C_ij^2 off the diagonal).

    C is the cross-correlation (D, D) over the global batch of all processes, in float32 even under autocast
    (in bfloat16, rounding would swamp the off-diagonal terms). The loss is the first plus lambda times the second.
    """
    if len(z1) < z1.shape[1] and world_size() == 1:
        return loss_of_few_images(z1, z2)
    c = cross_correlation(z1, z2)
    dim = len(c)
    off_diagonal = c.flatten()[1:].view(dim - 1, dim + 1)[:, :-1]  # drops every (dim + 1)-th element
    return (1 - c.diagonal()).square().sum(), off_diagonal.square().sum()


def cross_correlation(z1: Tensor, z2: Tensor) -> Tensor:
    """(B, D), (B, D) -> (D, D): correlation of every pair of features over the global batch, in [-1, 1]."""
    with full_precision(z1.device):
        return mean_over_ranks(standardize(z1).T @ standardize(z2) / len(z1))


def loss_of_few_images(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """`barlow_twins_loss` for fewer images than features, in one process, without computing C.

    The sum of all C_ij^2 is the trace of C C^T, which equals that of (z1 z1^T) (z2 z2^T) / B^2, a product of (B, B)
    matrices. C itself has 67 million elements with the paper's projector.
    """
    with full_precision(z1.device):
        z1, z2 = standardize(z1), standardize(z2)
        diagonal = (z1 * z2).mean(0)
        everything = (z1 @ z1.T * (z2 @ z2.T)).sum() / len(z1) ** 2
    return (1 - diagonal).square().sum(), everything - diagonal.square().sum()
