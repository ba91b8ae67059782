"""Options of `twinsight data list|detect|check|show|convert|make`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from twinsight.options.data import Data, ShapesOptions
from twinsight.options.marks import POSITIONAL
from twinsight.options.ranges import Images, Seed


@dataclass(frozen=True, kw_only=True)
class DataList:
    """List the data sets and their options."""


@dataclass(frozen=True, kw_only=True)
class DataDetect:
    """Say how a folder is read, why, and how else it could be.

    twinsight data detect street
    """

    folder: Annotated[Path, POSITIONAL]
    """Folder of images."""
    json: bool = False
    """Print the answer as JSON."""


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """Read every image and mask, count classes and regions, name what is wrong, and end with a verdict.

    twinsight data check street --html check.html
    """

    data: Data = field(default_factory=ShapesOptions)
    """Folder of images, or a data set by name."""
    split: Literal["train", "val"] | None = None
    """Split to check. Default: both."""
    html: Path | None = None
    """HTML page to write: the findings, with pictures of the worst samples."""
    json: Path | None = None
    """JSON file to write: counts, regions, and every file that a finding is about."""
    overwrite: bool = False
    """Replace these files if they exist."""


@dataclass(frozen=True, kw_only=True)
class DataShow:
    """Make a contact sheet of images and their masks.

    twinsight data show street --count 12
    """

    data: Data = field(default_factory=ShapesOptions)
    """Folder of images, or a data set by name."""
    split: Literal["train", "val"] = "train"
    """Split to show."""
    count: Images = 24
    """Number of images, drawn at random."""
    seed: Seed = 0
    """Seed of that draw."""
    out: Path = Path("contact-sheet.png")
    """PNG, PDF or SVG file to write."""
    overwrite: bool = False
    """Replace that file if it exists."""


@dataclass(frozen=True, kw_only=True)
class DataConvert:
    """Write a data set in a form that other programs read: VOC, COCO, or folders of images and masks.

    twinsight data convert street street-voc
    twinsight data convert street street-coco --to coco
    """

    data: Data = field(default_factory=ShapesOptions)
    """Folder of images and masks, or a data set by name."""
    out: Annotated[Path, POSITIONAL]
    """Folder to write into, new or empty."""
    to: Literal["voc", "coco", "folder"] = "voc"
    """Form to write. voc: palette PNGs, lists of splits, and labelmap.txt for CVAT and datumaro. coco: a JSON file per
    split, with a run-length encoded mask per class and image. folder: SPLIT/images, SPLIT/masks and classes.txt."""
    link: bool = False
    """Hard-link images instead of copying them."""


@dataclass(frozen=True, kw_only=True)
class DataMake:
    """Write a synthetic data set to disk, in VOC layout.

    twinsight data make shapes data/shapes --data.count 500
    """

    kind: Annotated[Literal["shapes"], POSITIONAL]
    """What to write."""
    folder: Annotated[Path, POSITIONAL]
    """Folder to write into, new or empty."""
    data: ShapesOptions = field(default_factory=ShapesOptions)
    """Kind of scenes."""
