"""Options of Barlow Twins."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.auto import AUTO, Scale, Setting, power_of_two
from twinsight.options.build import Buildable
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import NotNegative, Width


@dataclass(frozen=True)
class BarlowTwinsOptions(Buildable):
    """Barlow Twins (Zbontar et al., 2021)."""

    target: ClassVar = "twinsight.methods.barlow_twins:BarlowTwins"
    name: Literal["barlow-twins"] = "barlow-twins"
    projector: tuple[Width, ...] | Literal["auto"] = "auto"
    """Widths of the projector's layers, first to last. auto: 8192 three times, or less if the images are few."""
    lambd: NotNegative | Literal["auto"] = "auto"
    """Weight of the off-diagonal terms of the loss. auto: 0.0051, or more for a narrow projector."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        projector = wide_projector(scale)
        last = (projector.value if self.projector == AUTO else self.projector)[-1]
        lambd = Setting(0.0051 * (8192 / last) ** 0.5, f"0.0051 for 8192 features, times the root of 8192 / {last}")
        return {"projector": projector, "lambd": lambd}


def wide_projector(scale: Scale) -> Setting:
    """Three layers of the paper's width, or of what few images can fill."""
    width = power_of_two(scale.images / 10, 256, 8192)
    return Setting((width,) * 3, f"a feature for 10 of {scale.images} images, from 256 to the paper's 8192")
