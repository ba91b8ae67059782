"""Options of LeJEPA."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import PositiveShare, Range, Share, Width


@dataclass(frozen=True)
class LejepaViewsOptions(MultiCropOptions):
    """Two large views of each image and several small ones, as in LeJEPA."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.3, 1.0)
    local_views: Annotated[int, Range(0, 100)] = 6
    """Number of small views. A ResNet was trained without any."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.3)
    blur: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    solarize: tuple[Share, Share, Share] = (0.2, 0.2, 0.2)


@dataclass(frozen=True)
class LejepaOptions(Buildable):
    """LeJEPA (Balestriero and LeCun, 2025)."""

    target: ClassVar = "twinsight.methods.lejepa:LeJEPA"
    name: Literal["lejepa"] = "lejepa"
    projector: tuple[Width, ...] = (2048, 2048, 128)
    """Widths of the projector's layers, first to last."""
    lambd: Share = 0.05
    """Weight of the term that makes projections normally distributed (SIGReg); the rest is that of the prediction. The
    paper finds 0.01 to 0.1 to work."""
    slices: Width = 1024
    """Number of random directions along which the distribution is tested, new ones in each step."""
    views: LejepaViewsOptions = field(default_factory=LejepaViewsOptions)
