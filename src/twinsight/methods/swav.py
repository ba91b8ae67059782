"""SwAV: each view predicts which prototypes another view of the image is assigned to."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import GlobalBatchNorm1d, at_least_float32, full_precision, gather, rank, world_size
from twinsight.methods.collapse import collapse
from twinsight.methods.crops import cross_entropy, each_size
from twinsight.methods.sinkhorn import sinkhorn_knopp


class SwAV(nn.Module):
    """Unsupervised Learning of Visual Features by Contrasting Cluster Assignments (Caron et al., 2020).

    backbone: becomes `trunk`, which is kept after training.
    views: two large ones, which are assigned to prototypes, then any number of small ones that only predict.
    prototypes, hidden, dim: number of prototypes; widths of the projector; 3000, 2048 and 128 in the paper.
    temperature: divides the scores of predictions. epsilon: those of assignments; smaller is sharper.
    iterations: of Sinkhorn-Knopp.
    freeze_prototypes: fraction of the run, from the start, with fixed prototypes.
    queue_length: embeddings of earlier images, over all processes, that are assigned together with the batch; 0 for
        none. For batches much smaller than the number of prototypes; 3840 for batches of 256 in the paper.
    queue_start: fraction of the run, above 0, from which the queue is filled; it is used once it is full.
    """

    queue: Tensor

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        prototypes: int = 3000,
        hidden: int = 2048,
        dim: int = 128,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        freeze_prototypes: float = 0.01,
        queue_length: int = 0,
        queue_start: float = 0.0375,
    ):
        super().__init__()
        self.trunk = backbone
        self.projector = nn.Sequential(
            nn.Linear(backbone.dim, hidden), GlobalBatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, dim)
        )
        self.prototypes = nn.Linear(dim, prototypes, bias=False)
        self.register_buffer("queue", torch.zeros(2, queue_length, dim))
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.freeze_prototypes = freeze_prototypes
        self.queue_start = queue_start
        self._views = views
        self.after_step(0.0)

    def views(self) -> MultiView:
        """The transform that makes the views of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: (B, 3, h, w) batches, uint8 or float in [0, 1], the large ones first; progress: 0 to 1 over the run.

        Updates the queue.
        """
        # One pass of the projector for all crops, as in the official code: its batch norm sees all sizes together.
        z = self.projector(torch.cat(list(each_size(self.trunk, views))))
        with full_precision(z.device):
            z = F.normalize(at_least_float32(z), dim=1)
            scores = self.prototypes(z).chunk(len(views))
            assigned = self.assign(torch.stack(z.detach().chunk(len(views))[:2]), scores[:2], progress)
            loss = cross_entropy(assigned, [F.log_softmax(each / self.temperature, dim=1) for each in scores])
        entropy = torch.special.entr(torch.cat(assigned)).sum(1).mean()
        return {"loss": loss, "entropy": entropy, "kl": loss.detach() - entropy, **collapse(z[: len(views[0])])}

    @torch.no_grad()
    def assign(self, z: Tensor, scores: Sequence[Tensor], progress: float) -> list[Tensor]:
        """(B, prototypes) probabilities for each large view, from its scores and those of its queue if that is full.

        z: (2, B, dim), the same views' embeddings, which enter the queue.
        """
        scores = list(scores)
        # Never at progress 0, where the cost of a step is estimated on tensors without values.
        if self.queue.shape[1] and progress >= self.queue_start:
            if self.queue[:, -1].any():  # full
                own = self.queue.tensor_split(world_size(), dim=1)[rank()]
                scores = [torch.cat((self.prototypes(old), new)) for old, new in zip(own, scores)]
            newest = torch.stack([gather(view) for view in z])
            self.queue.copy_(torch.cat((newest, self.queue), dim=1)[:, : self.queue.shape[1]])
        return [sinkhorn_knopp(each / self.epsilon, self.iterations)[-z.shape[1] :] for each in scores]

    def after_backward(self, progress: float) -> None:
        """Freezes the prototypes early in the run."""
        if progress < self.freeze_prototypes:
            self.prototypes.weight.grad = None

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Gives each prototype length 1 again."""
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), unit vectors that are compared with the prototypes."""
        return F.normalize(self.projector(self.trunk(images)), dim=1)
