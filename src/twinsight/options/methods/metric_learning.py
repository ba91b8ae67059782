"""Options of the methods that pytorch-metric-learning has the losses of."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from twinsight.options.build import Buildable
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.ranges import Range

Degrees = Annotated[float, Range(0, 90, above=True, below=True)]


@dataclass(frozen=True, kw_only=True)
class MetricLearningOptions(Buildable):
    """Metric learning, on images in a folder per class."""

    given: ClassVar = ("classes",)
    views: OneViewOptions = field(default_factory=OneViewOptions)
