"""DINOv2: DINO and iBOT with a head each, Sinkhorn-Knopp, and embeddings that keep their distance."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.methods.koleo import koleo
from twinsight.methods.masked_dino import MaskedDINO


class DINOv2(MaskedDINO):
    """Learning Robust Visual Features without Supervision (Oquab et al., 2023), as in its official code.

    Heads and centering are those of its configurations for large networks, the rest is its default configuration.

    backbone: a plain vision transformer; becomes `trunk`, the teacher's, which is kept; the student is a copy.
    views: two large ones, then any number of small ones for the student only.
    prototypes, hidden, bottleneck: widths of both heads; 65536 (131072 for its largest networks), 2048 and 256.
    norm_last_layer: fixes the norm of each prototype at 1; the code learns it.
    separate_heads: whether patches have a head of their own.
    mask_share: fraction of the large views with masked patches. mask_ratio: fraction of masked patches in those, from
        and to; see `block_masks`.
    momentum: of the teacher at the start; rises to 1 on a cosine.
    centering: "mean" subtracts moving means, one for class tokens, one for patches, with momentum 0.9, from the
        teacher's outputs; "sinkhorn-knopp" assigns equal fractions of each batch to the prototypes.
    student_temperature: divides the student's outputs.
    teacher_temperature: divides the teacher's outputs, at the start and after the warm-up. temperature_warmup: fraction
        of the run for the warm-up. freeze_last_layer: fraction of the run, from the start, with the student's
        prototypes frozen.
    koleo_weight: of the KoLeo regularizer on the student's embeddings of each large view, within a process's batch.

    Raises UserError if the backbone has no patches to mask.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm_last_layer: bool = False,
        separate_heads: bool = True,
        mask_share: float = 0.5,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        momentum: float = 0.992,
        centering: Literal["mean", "sinkhorn-knopp"] = "sinkhorn-knopp",
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        temperature_warmup: float = 0.1,
        freeze_last_layer: float = 0.01,
        koleo_weight: float = 0.1,
    ):
        super().__init__(
            "dinov2", backbone, views, (prototypes, hidden, bottleneck), norm_last_layer, separate_heads, mask_share,
            mask_ratio, momentum, centering, student_temperature, teacher_temperature, teacher_temperature,
            temperature_warmup, freeze_last_layer,
        )  # fmt: skip
        self.koleo_weight = koleo_weight

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """As `MaskedDINO.forward`."""
        scalars, embeddings = self.losses(views, progress)
        first, second = embeddings.chunk(2)
        spread = koleo(first) + koleo(second)
        return scalars | {"loss": scalars["loss"] + self.koleo_weight * spread, "koleo": spread.detach()}
