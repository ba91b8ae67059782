"""Options of Barlow Twins."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import NotNegative, Width


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
