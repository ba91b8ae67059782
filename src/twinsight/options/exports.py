"""Exports of annotation tools, each recognized by the files in a folder given to --data."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from twinsight.options.files import SplitOptions


@dataclass(frozen=True)
class ExportOptions(SplitOptions):
    """What every export of an annotation tool takes."""

    root: Path = Path(".")
    """Folder that holds the unpacked export and its images."""


@dataclass(frozen=True)
class LabelmeOptions(ExportOptions):
    """labelme's JSON files beside your images."""

    target: ClassVar = "twinsight.data.exports.labelme:Labelme"
    name: Literal["labelme"] = "labelme"


@dataclass(frozen=True)
class ColorMasksOptions(ExportOptions):
    """Masks in colors with a table: CVAT's labelmap.txt, CamVid's label_colors.txt, classes.csv or classes.json."""

    target: ClassVar = "twinsight.data.exports.color_masks:ColorMasks"
    name: Literal["color-masks"] = "color-masks"
    edges: Literal["refuse", "void"] = "refuse"
    """Pixels along edges whose color mixes two classes': refuse the mask, or count them as void."""


@dataclass(frozen=True)
class RoboflowOptions(ExportOptions):
    """Roboflow's semantic segmentation masks: _classes.csv, and NAME_mask.png beside NAME.jpg."""

    target: ClassVar = "twinsight.data.exports.roboflow:Roboflow"
    name: Literal["roboflow"] = "roboflow"


@dataclass(frozen=True)
class CocoOptions(ExportOptions):
    """COCO's JSON files: instances, stuff or panoptic, also as Roboflow and datumaro write them."""

    target: ClassVar = "twinsight.data.exports.coco:Coco"
    name: Literal["coco"] = "coco"
    overlaps: Literal["area", "order"] = "area"
    """Where regions overlap: "area" draws the smaller one on top, "order" the later one."""
    kind: Literal["instances", "stuff", "panoptic"] | None = None
    """Files to read, by the beginnings of their names, if the folder holds several kinds."""


@dataclass(frozen=True)
class CvatOptions(ExportOptions):
    """CVAT's XML, "CVAT for images 1.1", with its images."""

    target: ClassVar = "twinsight.data.exports.cvat:Cvat"
    name: Literal["cvat"] = "cvat"


@dataclass(frozen=True)
class LabelStudioOptions(ExportOptions):
    """Label Studio's JSON, with its images."""

    target: ClassVar = "twinsight.data.exports.label_studio:LabelStudio"
    name: Literal["label-studio"] = "label-studio"


@dataclass(frozen=True)
class SuperviselyOptions(ExportOptions):
    """A Supervisely project: meta.json, and img and ann in each data set."""

    target: ClassVar = "twinsight.data.exports.supervisely:Supervisely"
    name: Literal["supervisely"] = "supervisely"


Drawn = LabelmeOptions | CocoOptions | CvatOptions | LabelStudioOptions | SuperviselyOptions
"""Formats whose masks are drawn from annotations."""

Exports = Drawn | ColorMasksOptions | RoboflowOptions
"""Every format that is here; a new one is added to this list."""
