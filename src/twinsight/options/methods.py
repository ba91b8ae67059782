"""Self-supervised methods, and the views that they compare."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.choices import table
from twinsight.options.marks import RISING
from twinsight.options.ranges import (
    BelowOne,
    Factor,
    Index,
    NotNegative,
    Pixels,
    Positive,
    PositiveShare,
    Range,
    Share,
    Width,
)

Sigma = Annotated[float, Range(0, 100, above=True)]


@dataclass(frozen=True)
class ViewOptions(Buildable):
    """Augmentation of a view."""

    not_arguments: ClassVar = ()
    size: Pixels = 224
    """Side of a view in pixels; of a large view if there are small ones."""
    ratio: Annotated[tuple[Factor, Factor], RISING] = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio of a crop."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: Share = 0.8
    """Probability of color jitter."""
    brightness: NotNegative = 0.4
    """Brightness jitter: multiply by a factor from 1 - x to 1 + x."""
    contrast: NotNegative = 0.4
    """Contrast jitter: multiply by a factor from 1 - x to 1 + x."""
    saturation: NotNegative = 0.2
    """Saturation jitter: multiply by a factor from 1 - x to 1 + x."""
    hue: Annotated[float, Range(0, 0.5)] = 0.1
    """Hue jitter: shift by -x to x of the color circle."""
    gray: Share = 0.2
    """Probability of converting to gray."""
    sigma: Annotated[tuple[Sigma, Sigma], RISING] = (0.1, 2.0)
    """Smallest and largest standard deviation of the blur, in pixels."""
    mix: Share = 0.0
    """Probability of mixing the color channels by a random matrix (not in the paper)."""
    invert: Share = 0.0
    """Probability of inverting all colors (not in the paper)."""


@dataclass(frozen=True)
class TwoViewsOptions(ViewOptions):
    """Two views of each image, as in BYOL and Barlow Twins."""

    target: ClassVar = "twinsight.data.views:two_views"
    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.08, 1.0)
    """Smallest and largest fraction of the image's area that a view shows."""
    blur: tuple[Share, Share] = (1.0, 0.1)
    """Probability of a Gaussian blur, for the first and the second view."""
    solarize: tuple[Share, Share] = (0.0, 0.2)
    """Probability of solarization (inverting values of 128 and above), for the first and the second view."""


@dataclass(frozen=True)
class MultiCropOptions(ViewOptions):
    """Two large views of each image and several small ones, as in DINO."""

    target: ClassVar = "twinsight.data.views:multi_crop"
    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.4, 1.0)
    """Smallest and largest fraction of the image's area that a large view shows."""
    local_views: Annotated[int, Range(0, 100)] = 8
    """Number of small views. Without any, the paper uses a scale of 0.14 to 1."""
    local_size: Pixels = 96
    """Side of a small view, in pixels."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.4)
    """Smallest and largest fraction of the image's area that a small view shows."""
    blur: tuple[Share, Share, Share] = (1.0, 0.1, 0.5)
    """Probability of a Gaussian blur, for the first and the second large view and for small views."""
    solarize: tuple[Share, Share, Share] = (0.0, 0.2, 0.0)
    """Probability of solarization (inverting values of 128 and above), for the first and the second large view and for
    small views."""


@dataclass(frozen=True)
class BarlowTwinsOptions(Buildable):
    """Barlow Twins (Zbontar et al., 2021)."""

    target: ClassVar = "twinsight.methods.barlow_twins:BarlowTwins"
    name: Literal["barlow-twins"] = "barlow-twins"
    projector: tuple[Width, ...] = (8192, 8192, 8192)
    """Widths of the projector's layers, first to last."""
    lambd: NotNegative = 0.0051
    """Weight of the off-diagonal terms of the loss."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)


@dataclass(frozen=True)
class DinoOptions(Buildable):
    """DINO (Caron et al., 2021)."""

    target: ClassVar = "twinsight.methods.dino:DINO"
    name: Literal["dino"] = "dino"
    prototypes: Width = 65536
    """Number of prototypes: the width of the head's output."""
    hidden: Width = 2048
    """Width of the head's hidden layers."""
    bottleneck: Width = 256
    """Width of the vectors that are compared with the prototypes."""
    batch_norm: bool = False
    """Use batch norm in the head's hidden layers: an option of the official code, not used in the paper. It can help
    small batches and short runs to learn at all."""
    norm_last_layer: bool = True
    """Fix the length of the prototypes at 1, which is more stable; learned lengths can give better results."""
    momentum: BelowOne = 0.996
    """Momentum of the teacher at the start; it rises to 1. Small batches need more, such as 0.9995 for 256 images."""
    centering: Literal["mean", "sinkhorn-knopp"] = "mean"
    """Protection against one prototype winning everywhere. mean: subtract a moving mean, as in the paper;
    sinkhorn-knopp: equal use of prototypes in each batch, as in DINOv2, which suits small batches better."""
    center_momentum: Share = 0.9
    """Momentum of that moving mean, per step."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Positive, Positive] = (0.04, 0.07)
    """Temperature of the teacher's softmax, at the start and after a linear warm-up."""
    temperature_warmup: Share = 0.1
    """Length of that warm-up, as a fraction of the run. The paper warms up for 30 of 300 epochs."""
    freeze_last_layer: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start: 1 of 100 epochs in the official code. Use
    more if the loss does not fall."""
    views: MultiCropOptions = field(default_factory=MultiCropOptions)


@dataclass(frozen=True)
class AttentionTermOptions(Buildable):
    """Attention term, added to the loss of any method on a vision transformer."""

    target: ClassVar = "twinsight.methods.attention_term:AttentionTerm"
    not_arguments: ClassVar = ()
    sharpness: NotNegative = 0.0
    """Weight of sharpness: each head looks at few patches (normalized entropy). 0: off."""
    diversity: NotNegative = 0.0
    """Weight of diversity: heads look at different patches (1 - their Jensen-Shannon divergence). 0: off."""
    consistency: NotNegative = 0.0
    """Weight of consistency: a head looks at the same place in both views (Jensen-Shannon divergence where their crops
    overlap). 0: off."""
    blocks: tuple[Index, ...] = (-1,)
    """Blocks whose heads the term applies to, counted from 0; -1 is the last."""

    @property
    def asked(self) -> bool:
        return any((self.sharpness, self.diversity, self.consistency))


Method = BarlowTwinsOptions | DinoOptions
"""Every method that is here; a new one is added to this list."""

METHODS = table(Method)
