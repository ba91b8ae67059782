"""Options of VICReg."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.auto import Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.methods.barlow_twins import wide_projector
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import NotNegative, Width


@dataclass(frozen=True)
class VicregOptions(Buildable):
    """VICReg (Bardes et al., 2022)."""

    target: ClassVar = "twinsight.methods.vicreg:VICReg"
    name: Literal["vicreg"] = "vicreg"
    projector: tuple[Width, ...] | Literal["auto"] = "auto"
    """Widths of the projector's layers, first to last. auto: 8192 three times, or less if the images are few."""
    invariance: NotNegative = 25.0
    """Weight of the squared difference between the two views."""
    variance: NotNegative = 25.0
    """Weight of the variance term, which keeps the standard deviation of each feature at 1 or more."""
    covariance: NotNegative = 1.0
    """Weight of the covariance term, which keeps features from repeating one another."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return {"projector": wide_projector(scale)}
