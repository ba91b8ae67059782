"""Options of MoCo v3."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import BelowOne, Positive, Width


@dataclass(frozen=True)
class MocoV3Options(Buildable):
    """MoCo v3 (Chen, Xie and He, 2021)."""

    target: ClassVar = "twinsight.methods.moco_v3:MoCoV3"
    name: Literal["moco-v3"] = "moco-v3"
    projector: tuple[Width, ...] = (4096, 4096, 256)
    """Widths of the projector's layers, first to last. The paper has 4096 256 for ResNets."""
    hidden: Width = 4096
    """Width of the predictor's hidden layer."""
    momentum: BelowOne = 0.99
    """Momentum of the momentum encoder at the start; it rises to 1."""
    temperature: Positive = 0.2
    """Temperature of the softmax over the images of a batch. The paper has 1 for ResNets."""
    freeze_patches: bool = True
    """Do not train a transformer's patch projection, which keeps large runs stable. Networks without one are not
    affected."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)
