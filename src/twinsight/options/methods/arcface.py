"""Options of ArcFace."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.methods.metric_learning import Degrees, MetricLearningOptions
from twinsight.options.ranges import Positive


@dataclass(frozen=True, kw_only=True)
class MarginOptions(MetricLearningOptions):
    """A margin between classes, by angle."""

    margin: Degrees = 28.6
    """Degrees that are added to the angle between an image and the center of its class."""
    scale: Positive = 64.0
    """Factor of the cosines."""


@dataclass(frozen=True, kw_only=True)
class ArcFaceOptions(MarginOptions):
    """ArcFace, on images in a folder per class (pip install 'twinsight[metric]')."""

    target: ClassVar = "twinsight.methods.arcface:ArcFace"
    name: Literal["arcface"] = "arcface"
