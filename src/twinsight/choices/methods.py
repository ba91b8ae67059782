"""Self-supervised methods, and the views that they compare."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from twinsight.choices.build import Buildable, named

MethodName = Annotated[str, named("method", "barlow-twins")]


@dataclass
class TwoViewsOptions(Buildable):
    """Two views of an image, as in BYOL and Barlow Twins; pairs of numbers are for the first and the second view."""

    target: ClassVar = "twinsight.data.views:two_views"
    not_arguments: ClassVar = ()
    size: int = 224
    """Side of a view in pixels."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Share of the image's area that is cropped, smallest and largest."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Aspect ratio of the crop, smallest and largest."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    jitter: float = 0.8
    """Probability of color jitter."""
    brightness: float = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    contrast: float = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    saturation: float = 0.2
    """Jitter: factor 1 - x to 1 + x."""
    hue: float = 0.1
    """Jitter: shift of -x to x of the color circle, at most 0.5."""
    gray: float = 0.2
    """Probability of gray."""
    blur: tuple[float, float] = (1.0, 0.1)
    """Probability of a Gaussian blur, for each view."""
    sigma: tuple[float, float] = (0.1, 2.0)
    """Deviation of the blur in pixels, smallest and largest."""
    solarize: tuple[float, float] = (0.0, 0.2)
    """Probability of solarization (values of 128 and more inverted), for each view."""
    mix: float = 0.0
    """Probability of mixing the color channels by a random matrix (not in the paper)."""
    invert: float = 0.0
    """Probability of inverting all colors (not in the paper)."""


@dataclass
class BarlowTwinsOptions(Buildable):
    """Barlow Twins (Zbontar et al., 2021)."""

    target: ClassVar = "twinsight.methods.barlow_twins:BarlowTwins"
    name: MethodName = "barlow-twins"
    projector: tuple[int, ...] = (8192, 8192, 8192)
    """Widths of the projector's layers."""
    lambd: float = 0.0051
    """Weight of the off-diagonal terms."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)


METHODS = {"barlow-twins": BarlowTwinsOptions}
