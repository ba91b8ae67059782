"""Exports of annotation tools, each recognized by the files in a folder given to --data."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from twinsight.options.files import FileOptions
from twinsight.options.ranges import Share


@dataclass(frozen=True)
class ExportOptions(FileOptions):
    """What every export of an annotation tool takes."""

    root: Path = Path(".")
    """Folder that holds the unpacked export and its images."""
    val_fraction: Share = 0.2
    """Fraction of the training images to hold out for validation if the export names no validation split."""


@dataclass(frozen=True)
class LabelmeOptions(ExportOptions):
    """labelme's JSON files beside your images."""

    target: ClassVar = "twinsight.data.exports.labelme:Labelme"
    name: Literal["labelme"] = "labelme"


Exports = LabelmeOptions
"""Every format that is here; a new one is added to this list."""
