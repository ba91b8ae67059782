"""Options of iBOT."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import Scale, Setting
from twinsight.options.marks import RISING
from twinsight.options.methods.dino import sharpness
from twinsight.options.methods.masked_dino import MaskedDinoOptions
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import Positive, PositiveShare, Range, Width


@dataclass(frozen=True)
class IbotViewsOptions(MultiCropOptions):
    """Two large views of each image and several small ones, as in iBOT."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.25, 1.0)
    local_views: Annotated[int, Range(0, 100)] = 10
    """Number of small views. Without any, the official code uses a scale of 0.14 to 1."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.25)


@dataclass(frozen=True)
class IbotOptions(MaskedDinoOptions):
    """iBOT (Zhou et al., 2022), for plain vision transformers."""

    target: ClassVar = "twinsight.methods.ibot:IBOT"
    most_prototypes: ClassVar = 8192
    name: Literal["ibot"] = "ibot"
    prototypes: Width | Literal["auto"] = "auto"
    """Number of prototypes: the width of a head's output. auto: 8192, or less if the images are few."""
    patch_temperature: tuple[Positive, Positive] | Literal["auto"] = "auto"
    """The teacher's temperature for patches, as --method.teacher-temperature."""
    views: IbotViewsOptions = field(default_factory=IbotViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return super().auto(scale) | {"patch_temperature": sharpness(scale)}
