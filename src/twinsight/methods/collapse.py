"""Numbers that show a collapse while a method trains."""

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.layers import at_least_float32, full_precision, mean_over_ranks


@torch.no_grad()
def collapse(z: Tensor) -> dict[str, Tensor]:
    """How much room the directions of (B, D) projections use; both scalars are for the log.

    spread: mean standard deviation of the features of z / |z| over the global batch, times sqrt(D), as Chen and He
        (2021) watch SimSiam: 0 if all directions are one, 1 if they are all around.
    dimensions: the participation ratio of their covariance in this process, from 1 to the smaller of B and D: 1 if all
        lie on a line.
    """
    with full_precision(z.device):
        z = F.normalize(at_least_float32(z), dim=1)
        variance = mean_over_ranks(z.square().mean(0)) - mean_over_ranks(z.mean(0)).square()
        centered = z - z.mean(0)
        gram = centered @ centered.T
        dimensions = gram.trace().square() / gram.square().sum().clamp_min(1e-20)
    return {"spread": variance.clamp_min(0).sqrt().mean() * z.shape[1] ** 0.5, "dimensions": dimensions}
