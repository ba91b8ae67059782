"""Public data sets, in the layout in which they are published."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from twinsight.options.files import FileOptions


@dataclass(frozen=True)
class VocOptions(FileOptions):
    """PASCAL VOC 2012: 20 classes and background."""

    target: ClassVar = "twinsight.data.voc:Voc"
    name: Literal["voc"] = "voc"
    root: Path = Path("data/voc")
    """Folder that contains VOCdevkit/VOC2012."""
    download: bool = False
    """Download it into root (2 GB) if it is missing."""


@dataclass(frozen=True)
class CocoStuffOptions(FileOptions):
    """COCO-Stuff: 171 classes."""

    target: ClassVar = "twinsight.data.coco_stuff:CocoStuff"
    name: Literal["coco-stuff"] = "coco-stuff"
    root: Path = Path("data/coco-stuff")
    """Folder in the official layout."""
    version: Literal["164k", "10k"] = "164k"
    """Release: 164k (stuffthingmaps) or 10k (.mat files)."""


Public = VocOptions | CocoStuffOptions
"""Every public data set that is here; a new one is added to this list."""
