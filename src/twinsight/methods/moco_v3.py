"""MoCo v3: a network's query must find, among all images of the batch, the key of its moving average for one image."""

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.sincos import fix_positions
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, each_view, full_precision, gather, mlp, rank
from twinsight.methods.collapse import collapse
from twinsight.methods.teacher import WithTeacher


class MoCoV3(WithTeacher):
    """An Empirical Study of Training Self-Supervised Vision Transformers (Chen, Xie and He, 2021).

    backbone: becomes `trunk`, the base encoder, which is kept after training; the momentum encoder is a copy.
    views: two augmented views of an image.
    projector: widths of the projector's layers; 4096 4096 256 in the paper for ViTs, 4096 256 for ResNets.
    hidden: width of the predictor's hidden layer.
    momentum: of the momentum encoder at the start; rises to 1 on a cosine.
    temperature: 0.2 in the paper for ViTs, 1 for ResNets.
    freeze_patches: keeps a transformer's patch projection as it is, random if the network is; networks without one,
        such as ResNets, are not affected.

    A plain transformer's positions are not learned, see `fix_positions`. Batch norm also follows the predictor's last
    layer, which the official code leaves out for ResNets.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        projector: Sequence[int] = (4096, 4096, 256),
        hidden: int = 4096,
        momentum: float = 0.99,
        temperature: float = 0.2,
        freeze_patches: bool = True,
    ):
        super().__init__(views, momentum)
        fix_positions(backbone)
        self.trunk = backbone
        self.projector = mlp([backbone.dim, *projector], norm_last=True)
        self.predictor = mlp([projector[-1], hidden, projector[-1]], norm_last=True)
        self.teacher = deepcopy(self.student).requires_grad_(False)
        self.temperature = temperature
        if freeze_patches and (patches := patch_projection(backbone.network)):
            patches.requires_grad_(False)
        self.train()

    @property
    def student(self) -> nn.Sequential:
        """Of the base encoder, what the teacher, the momentum encoder, is a copy of."""
        return nn.Sequential(self.trunk, *self.projector)

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: two (B, 3, H, W) batches, uint8 or float in [0, 1]; progress: 0 to 1 over the run."""
        z = each_view(self.projector, [self.trunk(view) for view in views])
        q1, q2 = each_view(self.predictor, z)
        with torch.no_grad():
            k1, k2 = each_view(self.teacher[1:], [self.teacher[0](view) for view in views])
        (first, hits1), (second, hits2) = (contrast(q, k, self.temperature) for q, k in ((q1, k2), (q2, k1)))
        return {
            "loss": first + second,
            "accuracy": (hits1 + hits2) / 2,
            "momentum": first.new_full((), self.momentum_at(progress)),
            **collapse(z[0]),
        }

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the base encoder's projections."""
        return self.projector(self.trunk(images))


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """InfoNCE of (B, dim) queries, each with its own key among the keys of all processes.

    Returns the loss times 2 * temperature, as in the paper, and the fraction of queries nearest to their own key.
    """
    with full_precision(queries.device):
        q, k = (F.normalize(at_least_float32(x), dim=1) for x in (queries, keys))
        logits = q @ gather(k).T / temperature
        own = torch.arange(len(q), device=q.device) + len(q) * rank()
        loss = 2 * temperature * F.cross_entropy(logits, own)
    return loss, (logits.detach().argmax(1) == own).to(loss.dtype).mean()


def patch_projection(network: nn.Module) -> nn.Module | None:
    """The layer that turns a patch's pixels into a token, of timm's transformers and vit-pytorch's; else None."""
    if isinstance(projection := getattr(getattr(network, "patch_embed", None), "proj", None), nn.Conv2d):
        return projection
    return next((m for m in network.modules() if isinstance(m, nn.Linear)), None) if hasattr(network, "vit") else None
