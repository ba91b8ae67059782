"""SimCLR: find the other view of an image among the views of all images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import GlobalBatchNorm1d, at_least_float32, full_precision, gather_over_ranks, mlp
from twinsight.methods.joint_embedding import JointEmbedding


class SimCLR(JointEmbedding):
    """A Simple Framework for Contrastive Learning of Visual Representations (Chen et al., 2020).

    backbone: becomes `trunk`, which is kept after training.
    projector: widths of the projector's layers; 2048 128 in the paper, for a ResNet-50.
    temperature: divides the cosine similarities; 0.1 in the paper.
    views: the two augmentation pipelines.

    The projector ends with a batch norm that has a scale and no offset, as in the official code; the paper does not
    mention it. The loss is the paper's, a mean over views; the code's is twice that.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (2048, 128),
        temperature: float = 0.1,
    ):
        norm = GlobalBatchNorm1d(projector[-1])
        norm.bias.requires_grad_(False)
        super().__init__(backbone, views, mlp([backbone.dim, *projector]).append(norm))
        self.temperature = temperature

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        # Both views at once, as in the official code: batch norm takes its statistics from both.
        z1, z2 = self.projector(self.trunk(torch.cat(list(views)))).chunk(2)
        return nt_xent(z1, z2, self.temperature)


def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> dict[str, Tensor]:
    """Two (B, D) batches of projections -> the loss and two numbers that show how it is going, in float32.

    loss: the cross-entropy of finding a view's other view among all other views of the global batch of all processes,
    by cosine similarity, in the mean over views. accuracy: how often that is the most similar one. similarity: the mean
    cosine similarity of views of different images; 1 is a collapse.
    """
    with full_precision(z1.device):
        z1, z2 = (gather_over_ranks(F.normalize(at_least_float32(z), dim=1)) for z in (z1, z2))
        z = torch.cat([z1, z2])
        similarity = z @ z.T
        itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
        logits = (similarity / temperature).masked_fill(itself, -torch.inf)
        other = torch.arange(len(z), device=z.device).roll(len(z1))
        loss = F.cross_entropy(logits, other)
    with torch.no_grad():
        accuracy = (logits.argmax(1) == other).float().mean()
        pairs = similarity.diagonal(len(z1)).sum() * 2 + similarity.diagonal().sum()
        different = (similarity.sum() - pairs) / max(1, len(z) * (len(z) - 2))
    return {"loss": loss, "accuracy": accuracy, "similarity": different}
