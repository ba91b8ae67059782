"""Options of sub-center ArcFace."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.methods.metric_learning import Degrees, MetricLearningOptions
from twinsight.options.ranges import Positive, Width


@dataclass(frozen=True, kw_only=True)
class SubcenterArcFaceOptions(MetricLearningOptions):
    """Sub-center ArcFace, on images in a folder per class (pip install 'twinsight[metric]')."""

    target: ClassVar = "twinsight.methods.subcenter_arcface:SubcenterArcFace"
    name: Literal["subcenter-arcface"] = "subcenter-arcface"
    margin: Degrees = 28.6
    """Degrees that are added to the angle between an image and the nearest center of its class."""
    scale: Positive = 64.0
    """Factor of the cosines."""
    sub_centers: Width = 3
    """Centers for each class."""
