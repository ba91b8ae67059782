"""Options of SimCLR."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import NotNegative, Positive, Range, Share, Width


@dataclass(frozen=True)
class SimclrViewsOptions(TwoViewsOptions):
    """Two views of each image, as in SimCLR."""

    brightness: NotNegative = 0.8
    contrast: NotNegative = 0.8
    saturation: NotNegative = 0.8
    hue: Annotated[float, Range(0, 0.5)] = 0.2
    blur: tuple[Share, Share] = (0.5, 0.5)
    solarize: tuple[Share, Share] = (0.0, 0.0)


@dataclass(frozen=True)
class SimclrOptions(Buildable):
    """SimCLR (Chen et al., 2020)."""

    target: ClassVar = "twinsight.methods.simclr:SimCLR"
    name: Literal["simclr"] = "simclr"
    projector: tuple[Width, ...] = (2048, 128)
    """Widths of the projector's layers, first to last."""
    temperature: Positive = 0.1
    """Temperature of the softmax over similarities: a lower one gives more weight to the most similar other images."""
    views: SimclrViewsOptions = field(default_factory=SimclrViewsOptions)
