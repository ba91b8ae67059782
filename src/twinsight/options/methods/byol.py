"""Options of BYOL."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import BelowOne, Width


@dataclass(frozen=True)
class ByolOptions(Buildable):
    """BYOL (Grill et al., 2020)."""

    target: ClassVar = "twinsight.methods.byol:BYOL"
    name: Literal["byol"] = "byol"
    hidden: Width = 4096
    """Width of the hidden layers of projector and predictor."""
    dim: Width = 256
    """Width of the vectors that are compared."""
    momentum: BelowOne = 0.996
    """Momentum of the target network at the start; it rises to 1. The paper has 0.996 for 1000 epochs and 0.99 for
    300; short runs need less."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)
