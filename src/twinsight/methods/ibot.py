"""iBOT: DINO, whose student also predicts the teacher's answer for patches that it does not see."""

from typing import Literal

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.methods.masked_dino import MaskedDINO


class IBOT(MaskedDINO):
    """Image BERT Pre-Training with Online Tokenizer (Zhou et al., 2022), as its official code trains a ViT-S.

    backbone: a plain vision transformer; becomes `trunk`, the teacher's, which is kept; the student is a copy.
    views: two large ones, then any number of small ones for the student only.
    prototypes, hidden, bottleneck: widths of the head; 8192, 2048 and 256 in the paper.
    norm_last_layer: fixes the norm of each prototype at 1. separate_heads: whether patches have a head of their own.
    mask_share: fraction of the large views with masked patches. mask_ratio: fraction of masked patches in those, from
        and to; see `block_masks`.
    momentum: of the teacher at the start; rises to 1 on a cosine.
    centering: "mean" subtracts moving means, one for class tokens, one for patches, with momentum 0.9, from the
        teacher's outputs; "sinkhorn-knopp" assigns equal fractions of each batch to the prototypes.
    student_temperature: divides the student's outputs.
    teacher_temperature, patch_temperature: divide the teacher's outputs for class tokens and for patches, at the start
        and after the warm-up. temperature_warmup: fraction of the run for the warm-up. freeze_last_layer: fraction of
        the run, from the start, with the student's prototypes frozen.

    Unlike the code, exactly `mask_share` of the views are masked, with evenly spaced ratios. Raises UserError if the
    backbone has no patches to mask.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        prototypes: int = 8192,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm_last_layer: bool = False,
        separate_heads: bool = False,
        mask_share: float = 0.5,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        momentum: float = 0.996,
        centering: Literal["mean", "sinkhorn-knopp"] = "mean",
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        patch_temperature: tuple[float, float] = (0.04, 0.07),
        temperature_warmup: float = 0.1,
        freeze_last_layer: float = 0.01,
    ):
        super().__init__(
            "ibot", backbone, views, (prototypes, hidden, bottleneck), norm_last_layer, separate_heads, mask_share,
            mask_ratio, momentum, centering, student_temperature, teacher_temperature, patch_temperature,
            temperature_warmup, freeze_last_layer,
        )  # fmt: skip
