"""LeJEPA: every view's projection predicts the mean of the large views, and projections are normally distributed."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, full_precision, mean_over_ranks, mlp, world_size
from twinsight.methods.crops import each_size
from twinsight.methods.joint_embedding import JointEmbedding


class LeJEPA(JointEmbedding):
    """LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics (Balestriero and LeCun, 2025).

    backbone: becomes `trunk`, which is kept after training.
    projector: widths of the projector's layers; those of the authors' example.
    lambd: weight of the distribution's term, from 0 to 1; 1 - lambd is that of the prediction.
    slices: number of random directions along which the distribution is tested, new ones in each step.
    views: two large ones, then any number of small ones.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (2048, 2048, 128),
        lambd: float = 0.05,
        slices: int = 1024,
    ):
        super().__init__(backbone, views, mlp([backbone.dim, *projector], bias_last=True))
        self.lambd = lambd
        self.slices = slices

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: (B, 3, h, w) batches, uint8 or float in [0, 1], the large ones first; progress: 0 to 1."""
        projections = self.projector(torch.cat(list(each_size(self.trunk, views))))
        with full_precision(projections.device):
            z = at_least_float32(projections).unflatten(0, (len(views), -1))
            prediction = mean_over_ranks((z - z[:2].mean(0)).square().mean())
            sigreg = epps_pulley(z @ random_directions(z, self.slices)).mean()
            centered = z.detach() - mean_over_ranks(z.detach().mean(1, keepdim=True))
        return {
            "loss": (1 - self.lambd) * prediction + self.lambd * sigreg,
            "prediction": prediction.detach(),
            "sigreg": sigreg.detach(),
            "deviation": mean_over_ranks(centered.square().mean()).sqrt(),
        }


@torch.no_grad()
def random_directions(like: Tensor, count: int) -> Tensor:
    """(..., D) -> (D, count) unit vectors, the same in all processes."""
    directions = F.normalize(torch.randn(like.shape[-1], count, dtype=like.dtype, device=like.device), dim=0)
    if world_size() > 1:
        dist.broadcast(directions, 0)
    return directions


def epps_pulley(x: Tensor, largest: float = 3.0, points: int = 17) -> Tensor:
    """(..., B, K) -> (..., K): how far samples are from a standard normal distribution (Epps and Pulley, 1983).

    B times the integral of |c(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) over t from -largest to largest, where c is the mean
    of exp(itx) over the global batch of all processes; by the trapezoidal rule on the half from 0, as in the official
    code.
    """
    t = torch.linspace(0, largest, points, dtype=x.dtype, device=x.device)
    normal = torch.exp(-t.square() / 2)
    angles = x[..., None] * t
    real, imaginary = (mean_over_ranks(part.mean(-3)) for part in (angles.cos(), angles.sin()))
    distance = (real - normal).square() + imaginary.square()
    return 2 * torch.trapezoid(distance * normal, t) * x.shape[-2] * world_size()
