"""Options of SimSiam."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import AUTO, Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.methods.widths import hidden_width
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
    dim: Width | Literal["auto"] = "auto"
    """Width of the projector's three layers, and of the vectors that are compared. auto: 2048, or less if the images
    are few."""
    hidden: Width | Literal["auto"] = "auto"
    """Width of the predictor's hidden layer, a bottleneck. auto: a quarter of --method.dim, as in the paper."""
    views: SimSiamViewsOptions = field(default_factory=SimSiamViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        dim = hidden_width(scale, 2048)
        width = dim.value if self.dim == AUTO else self.dim
        return {"dim": dim, "hidden": Setting(max(1, width // 4), f"a quarter of --method.dim {width}")}
