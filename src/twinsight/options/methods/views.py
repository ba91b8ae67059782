"""How the views that a method compares are made."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import AUTO, Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.ranges import Factor, NotNegative, Pixels, PositiveShare, Range, Share

Sigma = Annotated[float, Range(0, 100, above=True)]


@dataclass(frozen=True)
class ViewOptions(Buildable):
    """Augmentation of a view."""

    not_arguments: ClassVar = ()
    size: Pixels | Literal["auto"] = "auto"
    """Side of a view in pixels; of a large view if there are small ones. auto: 224, or less if the images are small."""
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
    sigma: Annotated[tuple[Sigma, Sigma] | Literal["auto"], RISING] = "auto"
    """Smallest and largest standard deviation of the blur, in pixels. auto: 0.1 and 2 for large views of 224 pixels,
    less for smaller ones."""
    mix: Share = 0.0
    """Probability of mixing the color channels by a random matrix (not in the paper)."""
    invert: Share = 0.0
    """Probability of inverting all colors (not in the paper)."""

    def auto(self, scale: Scale) -> dict[str, Setting]:
        if scale.side >= 224:
            size = Setting(224, "the usual size")
        else:
            why = f"the shorter side of a usual image has {scale.side} pixels"
            size = Setting(max(32, 16 * math.ceil(scale.side / 16)), why)
        side: int = size.value if self.size == AUTO else self.size
        largest = max(0.1, round(2 * min(1, side / 224), 2))
        return {"size": size, "sigma": Setting((0.1, largest), f"2 for views of 224 pixels, so {largest} for {side}")}


@dataclass(frozen=True)
class OneViewOptions(ViewOptions):
    """One view of each image: cropped and flipped, and nothing else by default."""

    target: ClassVar = "twinsight.data.views:one_view"
    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.08, 1.0)
    """Smallest and largest fraction of the image's area that the view shows."""
    jitter: Share = 0.0
    """Probability of color jitter."""
    gray: Share = 0.0
    """Probability of converting to gray."""
    blur: Share = 0.0
    """Probability of a Gaussian blur."""
    solarize: Share = 0.0
    """Probability of solarization (inverting values of 128 and above)."""

    def auto(self, scale: Scale) -> dict[str, Setting]:
        settings = super().auto(scale)
        return settings if self.blur else {"size": settings["size"]}


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
    local_size: Pixels | Literal["auto"] = "auto"
    """Side of a small view, in pixels. auto: 96, or less if the images are small."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.4)
    """Smallest and largest fraction of the image's area that a small view shows."""
    blur: tuple[Share, Share, Share] = (1.0, 0.1, 0.5)
    """Probability of a Gaussian blur, for the first and the second large view and for small views."""
    solarize: tuple[Share, Share, Share] = (0.0, 0.2, 0.0)
    """Probability of solarization (inverting values of 128 and above), for the first and the second large view and for
    small views."""

    def auto(self, scale: Scale) -> dict[str, Setting]:
        settings = super().auto(scale)
        if not self.local_views:
            return settings
        size: int = settings["size"].value if self.size == AUTO else self.size
        local = 96 if size == 224 else max(16, 16 * round(size * 96 / 224 / 16))
        return settings | {"local_size": Setting(local, f"beside large views of {size}, as 96 beside 224")}
