"""Options of MoCo v3."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.auto import Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.methods.momentum import teacher_momentum
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.methods.widths import hidden_width
from twinsight.options.ranges import BelowOne, Positive, Width


@dataclass(frozen=True)
class MocoV3Options(Buildable):
    """MoCo v3 (Chen, Xie and He, 2021)."""

    target: ClassVar = "twinsight.methods.moco_v3:MoCoV3"
    name: Literal["moco-v3"] = "moco-v3"
    projector: tuple[Width, ...] | Literal["auto"] = "auto"
    """Widths of the projector's layers, first to last. auto: 4096 4096 256, or less if the images are few. The paper
    has 4096 256 for ResNets."""
    hidden: Width | Literal["auto"] = "auto"
    """Width of the predictor's hidden layer. auto: 4096, or less if the images are few."""
    momentum: BelowOne | Literal["auto"] = "auto"
    """Momentum of the momentum encoder at the start; it rises to 1. auto: a memory of a fiftieth of the updates, up to
    the paper's 0.99 for 4096 images and more for smaller batches."""
    temperature: Positive = 0.2
    """Temperature of the softmax over the images of a batch. The paper has 1 for ResNets."""
    freeze_patches: bool = True
    """Do not train a transformer's patch projection, which keeps large runs stable. Networks without one are not
    affected."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        hidden = hidden_width(scale, 4096)
        return {
            "projector": Setting((hidden.value, hidden.value, 256), hidden.why),
            "hidden": hidden,
            "momentum": teacher_momentum(scale, 0.99, 4096),
        }
