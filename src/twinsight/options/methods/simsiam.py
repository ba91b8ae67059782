"""Options of SimSiam."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import NotNegative, PositiveShare, Share, Width


@dataclass(frozen=True)
class SimSiamViewsOptions(TwoViewsOptions):
    """Two views of each image, as in MoCo v2 and SimSiam."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.2, 1.0)
    """Smallest and largest fraction of the image's area that a view shows."""
    saturation: NotNegative = 0.4
    """Saturation jitter: multiply by a factor from 1 - x to 1 + x."""
    blur: tuple[Share, Share] = (0.5, 0.5)
    """Probability of a Gaussian blur, for the first and the second view."""
    solarize: tuple[Share, Share] = (0.0, 0.0)
    """Probability of solarization (inverting values of 128 and above), for the first and the second view."""


@dataclass(frozen=True)
class SimSiamOptions(Buildable):
    """SimSiam (Chen and He, 2021)."""

    target: ClassVar = "twinsight.methods.simsiam:SimSiam"
    name: Literal["simsiam"] = "simsiam"
    dim: Width = 2048
    """Width of the projector's three layers, and of the vectors that are compared."""
    hidden: Width = 512
    """Width of the predictor's hidden layer: a bottleneck of a quarter of --method.dim in the paper."""
    views: SimSiamViewsOptions = field(default_factory=SimSiamViewsOptions)
