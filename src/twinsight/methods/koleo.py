"""KoLeo: a regularizer that spreads embeddings evenly over the sphere."""

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.layers import at_least_float32, full_precision


def koleo(embeddings: Tensor, eps: float = 1e-8) -> Tensor:
    """(B, D), B at least 2 -> minus the mean logarithm of the distance to the nearest other of the batch.

    Spreading vectors for similarity search (Sablayrolles et al., 2019), on unit vectors. The batch is that of this
    process alone, as in DINOv2's code.
    """
    with full_precision(embeddings.device):
        z = F.normalize(at_least_float32(embeddings), dim=1)
        with torch.no_grad():
            similarity = z @ z.T
            nearest = similarity.fill_diagonal_(-1).argmax(1)
        return -(F.pairwise_distance(z, z[nearest], eps=eps) + eps).log().mean()
