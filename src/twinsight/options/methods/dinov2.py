"""Options of DINOv2."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.marks import RISING
from twinsight.options.methods.masked_dino import MaskedDinoOptions
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import NotNegative, PositiveShare


@dataclass(frozen=True)
class DinoV2ViewsOptions(MultiCropOptions):
    """Two large views of each image and several small ones, as in DINOv2."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.32, 1.0)
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.32)


@dataclass(frozen=True)
class DinoV2Options(MaskedDinoOptions):
    """DINOv2 (Oquab et al., 2023), for plain vision transformers."""

    target: ClassVar = "twinsight.methods.dinov2:DINOv2"
    name: Literal["dinov2"] = "dinov2"
    separate_heads: bool = True
    centering: Literal["auto", "mean", "sinkhorn-knopp"] = "sinkhorn-knopp"
    koleo_weight: NotNegative = 0.1
    """Weight of the KoLeo regularizer, which keeps embeddings of one process's batch apart."""
    views: DinoV2ViewsOptions = field(default_factory=DinoV2ViewsOptions)
