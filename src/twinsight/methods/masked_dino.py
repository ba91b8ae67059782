"""What iBOT and DINOv2 share: DINO, whose student also names the prototypes of patches that it does not see."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.masking import check_patches, patch_grid
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32, mean_over_ranks
from twinsight.methods.block_masks import block_counts, block_masks
from twinsight.methods.crops import cross_entropy, each_size
from twinsight.methods.dino import Prototypes, projector
from twinsight.methods.sinkhorn import sinkhorn_knopp
from twinsight.methods.teacher import WithTeacher


class MaskedDINO(WithTeacher):
    """A student that sees large views with some patches masked, and small views; a teacher that sees the former whole.

    The class token's loss is DINO's. At masked patches the student predicts the teacher's answer for the same patch.
    separate_heads: whether patches have a head of their own. Other arguments: see `IBOT`.
    """

    masks = True
    center: Tensor
    patch_center: Tensor

    def __init__(
        self,
        name: str,
        backbone: Backbone,
        views: MultiView,
        head: tuple[int, int, int],
        norm_last_layer: bool,
        separate_heads: bool,
        mask_share: float,
        mask_ratio: tuple[float, float],
        momentum: float,
        centering: Literal["mean", "sinkhorn-knopp"],
        student_temperature: float,
        teacher_temperature: tuple[float, float],
        patch_temperature: tuple[float, float],
        temperature_warmup: float,
        freeze_last_layer: float,
    ):
        super().__init__(views, momentum)
        check_patches(name, backbone.network, backbone.name)
        prototypes, hidden, bottleneck = head

        def new_head() -> nn.Sequential:
            layers = projector(backbone.dim, hidden, bottleneck, batch_norm=False)
            return nn.Sequential(layers, Prototypes(bottleneck, prototypes, norm_last_layer))

        self.trunk = backbone
        self.head = new_head()
        self.patch_head = new_head() if separate_heads else self.head
        self.student = deepcopy(self.teacher)
        self.teacher.requires_grad_(False)
        self.mask_token = nn.Parameter(torch.zeros(backbone.dims[-1]))
        self.register_buffer("center", torch.zeros(prototypes))
        self.register_buffer("patch_center", torch.zeros(prototypes))
        self.mask_share = mask_share
        self.mask_ratio = mask_ratio
        self.centering = centering
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.patch_temperature = patch_temperature
        self.temperature_warmup = temperature_warmup
        self.freeze_last_layer = freeze_last_layer
        self.train()

    @property
    def teacher(self) -> nn.ModuleList:
        """Backbone, head of the class token, head of patches; the student's are in the same order."""
        return nn.ModuleList([self.trunk, self.head, self.patch_head])

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: (B, 3, h, w) batches, uint8 or float in [0, 1], the large ones first; progress: 0 to 1 over the run.

        Updates the centers if centering is "mean".
        """
        scalars, _ = self.losses(views, progress)
        return scalars

    def losses(self, views: Sequence[Tensor], progress: float) -> tuple[dict[str, Tensor], Tensor]:
        """Loss and scalars, and the student's embeddings of the large views, (2 * B, dim)."""
        large = torch.cat(list(views[:2]))
        grid = patch_grid(large, self.trunk.strides[-1])
        counts = block_counts(len(large), grid[0] * grid[1], self.mask_share, self.mask_ratio)
        mask = block_masks(counts, grid, large.device)
        masked = mask.flatten().int().argsort(descending=True, stable=True)[: sum(counts)]
        # Each masked image counts once, whatever its count; the others count, too, with a loss of 0.
        weights = (mask / (mask.sum(1, keepdim=True).clamp_min(1) * len(mask))).flatten()[masked]

        t, t_patch = self.targets(large, masked, progress)
        parts: Any = self.student
        trunk, head, patch_head = parts
        seen = trunk.tokens(large, mask=mask, mask_token=self.mask_token)
        embeddings = torch.cat([seen.embedding, *each_size(trunk, views[2:])])
        log_s = F.log_softmax(at_least_float32(head(embeddings)) / self.student_temperature, dim=1)
        patches = at_least_float32(patch_head(seen.patches.flatten(0, 1)[masked]))
        log_p = F.log_softmax(patches / self.student_temperature, dim=1)
        class_loss = cross_entropy(t.chunk(2), log_s.chunk(len(views)))
        patch_loss = -((t_patch * log_p).sum(1) * weights).sum()
        entropy = torch.special.entr(t).sum(1).mean()
        scalars = {
            "loss": class_loss + patch_loss,
            "class_loss": class_loss.detach(),
            "patch_loss": patch_loss.detach(),
            "entropy": entropy,
            "patch_entropy": (torch.special.entr(t_patch).sum(1) * weights).sum() / weights.sum(),
            "kl": class_loss.detach() - entropy,
            "momentum": class_loss.new_full((), self.momentum_at(progress)),
        }
        return scalars, seen.embedding

    @torch.no_grad()
    def targets(self, large: Tensor, masked: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """The teacher's probabilities (2 * B, K) for the images and (M, K) for their masked patches."""
        seen = self.trunk.tokens(large)
        logits, patches = at_least_float32(self.head(seen.embedding)), seen.patches.flatten(0, 1)
        temperature, patch_temperature = (
            warmed(each, progress, self.temperature_warmup)
            for each in (self.teacher_temperature, self.patch_temperature)
        )
        if self.centering == "sinkhorn-knopp":
            patch_logits = at_least_float32(self.patch_head(patches[masked]))
            return sinkhorn_knopp(logits / temperature), sinkhorn_knopp(patch_logits / patch_temperature)
        patch_logits = at_least_float32(self.patch_head(patches))
        t = F.softmax((logits - self.center) / temperature, dim=1)
        t_patch = F.softmax((patch_logits[masked] - self.patch_center) / patch_temperature, dim=1)
        for center, values in ((self.center, logits), (self.patch_center, patch_logits)):
            center.lerp_(mean_over_ranks(values.mean(0)).to(center), 0.1)
        return t, t_patch

    def after_backward(self, progress: float) -> None:
        """Freezes the student's prototypes early in the run."""
        if progress < self.freeze_last_layer:
            for module in self.student.modules():
                if isinstance(module, Prototypes):
                    for parameter in module.parameters():
                        parameter.grad = None

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, bottleneck), unit vectors that the teacher compares with its prototypes."""
        return self.head[0](self.trunk(images))


def warmed(temperature: tuple[float, float], progress: float, warmup: float) -> float:
    """The temperature at this fraction of the run: from the first to the second, linearly, within the warm-up."""
    first, last = temperature
    return last if progress >= warmup else first + (last - first) * progress / warmup
