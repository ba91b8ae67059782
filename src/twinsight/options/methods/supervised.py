"""Options of supervised training."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.ranges import BelowOne


@dataclass(frozen=True)
class SupervisedOptions(Buildable):
    """Supervised classification, on images in a folder per class."""

    target: ClassVar = "twinsight.methods.supervised:Supervised"
    given: ClassVar = ("classes",)
    name: Literal["supervised"] = "supervised"
    label_smoothing: BelowOne = 0.1
    """Fraction of each target that is spread evenly over all classes."""
    views: OneViewOptions = field(default_factory=OneViewOptions)
