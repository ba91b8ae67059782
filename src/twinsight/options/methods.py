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
    """What the views of an image share."""

    not_arguments: ClassVar = ()
    size: Pixels = 224
    """Side of a view in pixels; of a large one where there are small ones."""
    ratio: Annotated[tuple[Factor, Factor], RISING] = (3 / 4, 4 / 3)
    """Aspect ratio of the crop, smallest and largest."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: Share = 0.8
    """Probability of color jitter."""
    brightness: NotNegative = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    contrast: NotNegative = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    saturation: NotNegative = 0.2
    """Jitter: factor 1 - x to 1 + x."""
    hue: Annotated[float, Range(0, 0.5)] = 0.1
    """Jitter: shift of -x to x of the color circle, at most 0.5."""
    gray: Share = 0.2
    """Probability of gray."""
    sigma: Annotated[tuple[Sigma, Sigma], RISING] = (0.1, 2.0)
    """Deviation of the blur in pixels, smallest and largest."""
    mix: Share = 0.0
    """Probability of mixing the color channels by a random matrix (not in the paper)."""
    invert: Share = 0.0
    """Probability of inverting all colors (not in the paper)."""


@dataclass(frozen=True)
class TwoViewsOptions(ViewOptions):
    """Two views of an image, as in BYOL and Barlow Twins; pairs of numbers are for the first and the second view."""

    target: ClassVar = "twinsight.data.views:two_views"
    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.08, 1.0)
    """Share of the image's area that is cropped, smallest and largest."""
    blur: tuple[Share, Share] = (1.0, 0.1)
    """Probability of a Gaussian blur, for each view."""
    solarize: tuple[Share, Share] = (0.0, 0.2)
    """Probability of solarization (values of 128 and more inverted), for each view."""


@dataclass(frozen=True)
class MultiCropOptions(ViewOptions):
    """Two large views of an image and some small ones, as in DINO; of three numbers, the last is for the small ones."""

    target: ClassVar = "twinsight.data.views:multi_crop"
    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.4, 1.0)
    """Share of the image's area that a large view shows, smallest and largest."""
    local_views: Annotated[int, Range(0, 100)] = 8
    """How many small views; without any, the paper's scale is 0.14 to 1."""
    local_size: Pixels = 96
    """Side of a small view in pixels."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.4)
    """Share of the image's area that a small view shows, smallest and largest."""
    blur: tuple[Share, Share, Share] = (1.0, 0.1, 0.5)
    """Probability of a Gaussian blur."""
    solarize: tuple[Share, Share, Share] = (0.0, 0.2, 0.0)
    """Probability of solarization (values of 128 and more inverted)."""


@dataclass(frozen=True)
class BarlowTwinsOptions(Buildable):
    """Barlow Twins (Zbontar et al., 2021)."""

    target: ClassVar = "twinsight.methods.barlow_twins:BarlowTwins"
    name: Literal["barlow-twins"] = "barlow-twins"
    projector: tuple[Width, ...] = (8192, 8192, 8192)
    """Widths of the projector's layers."""
    lambd: NotNegative = 0.0051
    """Weight of the off-diagonal terms."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)


@dataclass(frozen=True)
class DinoOptions(Buildable):
    """DINO (Caron et al., 2021)."""

    target: ClassVar = "twinsight.methods.dino:DINO"
    name: Literal["dino"] = "dino"
    prototypes: Width = 65536
    """Width of the head's output."""
    hidden: Width = 2048
    """Width of the head's hidden layers."""
    bottleneck: Width = 256
    """Width of what is compared with the prototypes."""
    batch_norm: bool = False
    """In the head's hidden layers: not in the paper, an option of its code. Small batches and short runs learn with it
    where they do not without."""
    norm_last_layer: bool = True
    """Fix the prototypes' length at 1: stabler; learnt, it can be better."""
    momentum: BelowOne = 0.996
    """Of the teacher at first, 1 at the end; more for small batches: 0.9995 for 256 images."""
    centering: Literal["mean", "sinkhorn-knopp"] = "mean"
    """Against one prototype winning all: the moving mean of the paper, or equal shares in each batch, as in DINOv2,
    which suits small batches better."""
    center_momentum: Share = 0.9
    """Of the moving mean, at each step."""
    student_temperature: Positive = 0.1
    teacher_temperature: tuple[Positive, Positive] = (0.04, 0.07)
    """At first, and after a linear warm-up."""
    temperature_warmup: Share = 0.1
    """Share of the run that this warm-up takes: 30 epochs of 300 in the paper."""
    freeze_last_layer: Share = 0.01
    """Share of the run at whose start the prototypes stay as they are, 1 epoch of 100 in the official code; more where
    the loss does not fall."""
    views: MultiCropOptions = field(default_factory=MultiCropOptions)


@dataclass(frozen=True)
class AttentionTermOptions(Buildable):
    """A term of the loss for attention, beside any method on a vision transformer: weights of its parts, 0 for none."""

    target: ClassVar = "twinsight.methods.attention_term:AttentionTerm"
    not_arguments: ClassVar = ()
    sharpness: NotNegative = 0.0
    """Each head looks at few patches: normalized entropy."""
    diversity: NotNegative = 0.0
    """Heads look at different patches: 1 - their Jensen-Shannon divergence."""
    consistency: NotNegative = 0.0
    """A head looks at the same place in both views: Jensen-Shannon divergence where their crops overlap."""
    blocks: tuple[Index, ...] = (-1,)
    """Blocks whose heads are meant, from 0; -1 is the last."""

    @property
    def asked(self) -> bool:
        return any((self.sharpness, self.diversity, self.consistency))


Method = BarlowTwinsOptions | DinoOptions
"""Every method that is here; a new one is added to this list."""

METHODS = table(Method)
