"""Options of the angular loss."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.methods.metric_learning import Degrees, MetricLearningOptions


@dataclass(frozen=True, kw_only=True)
class AngularOptions(MetricLearningOptions):
    """Angular loss, on images in a folder per class (pip install 'twinsight[metric]')."""

    target: ClassVar = "twinsight.methods.angular:Angular"
    name: Literal["angular"] = "angular"
    alpha: Degrees = 40.0
    """Bound of the angle between two images of a class as seen from an image of another, in degrees."""
