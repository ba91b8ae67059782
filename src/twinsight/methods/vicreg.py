"""VICReg: views that agree, features that vary, and features that do not repeat one another."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, each_view, full_precision, gather_over_ranks, mlp
from twinsight.methods.joint_embedding import JointEmbedding


class VICReg(JointEmbedding):
    """VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning (Bardes et al., 2022).

    As in the official code, the variance term is the mean of the two views' terms; the paper adds them up.

    backbone: becomes `trunk`, which is kept after training.
    projector: widths of the projector's layers; 8192 8192 8192 in the paper.
    invariance, variance, covariance: weights of the three terms; 25, 25 and 1 in the paper.
    views: the two augmentation pipelines.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (8192,) * 3,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ):
        super().__init__(backbone, views, mlp([backbone.dim, *projector]))
        self.weights = {"invariance": invariance, "variance": variance, "covariance": covariance}

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        terms = vicreg_terms(*each_view(self.projector, [self.trunk(view) for view in views]))
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return {"loss": loss} | {name: term.detach() for name, term in terms.items()}


def vicreg_terms(z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
    """Two (B, D) batches of projections -> the three terms, over the global batch of all processes, in float32.

    invariance: the mean squared difference of the views. variance: by how much the deviation of a feature falls short
    of 1, in the mean; 1 is a collapse. covariance: the sum of the squared covariances of different features, divided by
    D; of both views together.
    """
    with full_precision(z1.device):
        z1, z2 = (gather_over_ranks(at_least_float32(z)) for z in (z1, z2))
        return {
            "invariance": F.mse_loss(z1, z2),
            "variance": (lack_of_variance(z1) + lack_of_variance(z2)) / 2,
            "covariance": covariance(z1) + covariance(z2),
        }


def lack_of_variance(z: Tensor, eps: float = 1e-4) -> Tensor:
    """(B, D) -> the mean of max(0, 1 - deviation) over features."""
    return F.relu(1 - (z.var(0) + eps).sqrt()).mean()


def covariance(z: Tensor) -> Tensor:
    """(B, D) -> the sum of squares off the diagonal of the covariance matrix, divided by D."""
    centered = z - z.mean(0)
    # The squares in Z Z^T add up to those in Z^T Z, which has 67 million elements with the paper's projector.
    products = centered @ centered.T if len(z) < z.shape[1] else centered.T @ centered
    everything = (products / (len(z) - 1)).square().sum()
    return (everything - z.var(0).square().sum()) / z.shape[1]
