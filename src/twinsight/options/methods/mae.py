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
    decoder_width: Width | None = None
    """Width of the decoder, a multiple of 4 and of its heads. Default: two thirds of the backbone's, up to the paper's
    512."""
    decoder_depth: Annotated[int, Range(1, 1000)] | None = None
    """Number of the decoder's blocks. Default: two thirds of the backbone's, up to the paper's 8."""
    decoder_heads: Width | None = None
    """Attention heads in each block of the decoder. Default: one for a width of 32, as in the paper."""
    norm_pix: bool = True
    """Predict each patch's pixels with mean 0 and variance 1, rather than as they are."""
    views: CropOptions = field(default_factory=CropOptions)
