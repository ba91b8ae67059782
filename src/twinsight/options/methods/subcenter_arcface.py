"""Options of sub-center ArcFace."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.methods.arcface import MarginOptions
from twinsight.options.ranges import Width


@dataclass(frozen=True, kw_only=True)
class SubcenterArcFaceOptions(MarginOptions):
    """Sub-center ArcFace, on images in a folder per class (pip install 'twinsight[metric]')."""

    target: ClassVar = "twinsight.methods.subcenter_arcface:SubcenterArcFace"
    name: Literal["subcenter-arcface"] = "subcenter-arcface"
    sub_centers: Width = 3
    """Centers for each class, of which an image is compared with the nearest."""
