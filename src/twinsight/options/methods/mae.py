"""Options of MAE."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.ranges import Fraction, PositiveShare, Range, Width


@dataclass(frozen=True)
class CropOptions(OneViewOptions):
    """One crop of each image, perhaps mirrored, and nothing else by default."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.2, 1.0)
    """Smallest and largest fraction of the image's area that the view shows."""


@dataclass(frozen=True)
class MaeOptions(Buildable):
    """MAE (He et al., 2022), for plain vision transformers."""

    target: ClassVar = "twinsight.methods.mae:MAE"
    masks: ClassVar = True
    name: Literal["mae"] = "mae"
    mask_ratio: Fraction = 0.75
    """Fraction of the patches that are hidden from the backbone."""
    decoder_width: Width = 512
    """Width of the decoder, a multiple of 4 and of its heads."""
    decoder_depth: Annotated[int, Range(1, 1000)] = 8
    """Number of the decoder's blocks."""
    decoder_heads: Width = 16
    """Attention heads in each block of the decoder."""
    norm_pix: bool = True
    """Predict each patch's pixels with mean 0 and variance 1, rather than as they are."""
    views: CropOptions = field(default_factory=CropOptions)
