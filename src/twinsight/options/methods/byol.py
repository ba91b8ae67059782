"""Options of BYOL."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.auto import Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.methods.momentum import teacher_momentum
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.methods.widths import hidden_width
from twinsight.options.ranges import BelowOne, Width


@dataclass(frozen=True)
class ByolOptions(Buildable):
    """BYOL (Grill et al., 2020)."""

    target: ClassVar = "twinsight.methods.byol:BYOL"
    name: Literal["byol"] = "byol"
    hidden: Width | Literal["auto"] = "auto"
    """Width of the hidden layers of projector and predictor. auto: 4096, or less if the images are few."""
    dim: Width = 256
    """Width of the vectors that are compared."""
    momentum: BelowOne | Literal["auto"] = "auto"
    """Momentum of the target network at the start; it rises to 1. auto: a memory of a fiftieth of the updates, up to
    the paper's 0.996 for 4096 images and more for smaller batches."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return {"hidden": hidden_width(scale, 4096), "momentum": teacher_momentum(scale, 0.996, 4096)}
