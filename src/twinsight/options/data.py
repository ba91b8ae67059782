"""Data sets, and how their images are augmented with their masks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from twinsight.errors import UserError
from twinsight.options.build import Buildable, build
from twinsight.options.choices import table
from twinsight.options.marks import RISING
from twinsight.options.ranges import Factor, Images, NotNegative, Pixels, Range, Seed, Share

Bits = Literal[8, 10, 12, 14, 16]
Megapixels = Annotated[float, Range(0, 1000, above=True)]
Byte = Annotated[int, Range(0, 255)]
Radius = Annotated[float, Range(0, 0.5, above=True)]


@dataclass(frozen=True)
class DataOptions(Buildable):
    not_arguments: ClassVar = ("name", "train", "val")
    train: str = "train"
    """Split to train on."""
    val: str = "val"
    """Split to validate on."""

    def open(self, role: Literal["train", "val"]) -> Any:
        """The `Dataset` of the training or the validation split. Raises UserError for training on the test split."""
        if role == "train" and self.train.lower() in ("test", "testing"):
            raise UserError(f"--data.train {self.train}: a test split is only for measuring; train on another")
        return build(self, split=getattr(self, role))

    def settled(self, dataset: Any) -> Self:
        """These options with what opening a split has found out: for the other split, and for the run to keep."""
        return self


@dataclass(frozen=True)
class ShapesOptions(DataOptions):
    """Procedural scenes, rendered as they are read: nothing to download."""

    target: ClassVar = "twinsight.data.shapes:Shapes"
    name: Literal["shapes"] = "shapes"
    not_arguments: ClassVar = ("name", "train", "val", "val_count")
    count: Images = 2000
    """Number of training images."""
    val_count: Images = 500
    """Number of validation images."""
    size: Annotated[int, Range(16, 2**15)] = 96
    """Side of an image in pixels."""
    seed: Seed = 0
    """Seed of the scenes (not of the training)."""
    objects: Annotated[int, Range(1, 100)] = 2
    """Most objects in an image."""
    crowding: Share = 0.25
    """Probability of each object after the first."""
    radius: Annotated[tuple[Radius, Radius], RISING] = (0.3, 0.45)
    """Radius of an object, smallest and largest, as a share of the image's side."""
    texture: Share = 0.25
    """Loudness of the background, 0 to 1."""

    def open(self, role: Literal["train", "val"]) -> Any:
        split = getattr(self, role)
        return build(self, split=split, count=self.count if split == "train" else self.val_count)


@dataclass(frozen=True)
class FileOptions(DataOptions):
    not_arguments: ClassVar = ("name", "train", "val", "cache", "bits", "max_megapixels", "tolerate")
    cache: Path | None = None
    """Folder in which to keep all training images (and masks) decoded, 3 bytes a pixel (4 with masks), once for all
    epochs and runs."""
    bits: Bits | None = None
    """How many of their bits 16-bit images fill (12 of an X-ray). Default: by the largest value of a sample of them;
    a run keeps what was found."""
    max_megapixels: Megapixels = 250
    """Refuse larger images before they are decoded."""
    tolerate: NotNegative = 0
    """How many broken images to leave out, each named once: a share of all below 1, else a number. In a training the
    next image takes the place of each."""

    def open(self, role: Literal["train", "val"]) -> Any:
        dataset = super().open(role)
        dataset.read_as(self.bits, self.max_megapixels)
        dataset.tolerate = self.tolerate
        return dataset

    def settled(self, dataset: Any) -> Self:
        return replace(self, bits=dataset.reading.bits)


@dataclass(frozen=True)
class VocOptions(FileOptions):
    """PASCAL VOC 2012 segmentation: 20 classes and background."""

    target: ClassVar = "twinsight.data.voc:Voc"
    name: Literal["voc"] = "voc"
    root: Path = Path("data/voc")
    """Folder that holds VOCdevkit/VOC2012."""
    download: bool = False
    """Fetch it into root first (2 GB) where it is missing."""


@dataclass(frozen=True)
class CocoStuffOptions(FileOptions):
    """COCO-Stuff: 171 classes; 164k (stuffthingmaps) or 10k (.mat)."""

    target: ClassVar = "twinsight.data.coco_stuff:CocoStuff"
    name: Literal["coco-stuff"] = "coco-stuff"
    root: Path = Path("data/coco-stuff")
    """Folder with the official layout."""
    version: Literal["164k", "10k"] = "164k"
    """Which of the two."""


@dataclass(frozen=True)
class FolderOptions(FileOptions):
    """Your own images: any folder; with masks in a second folder, or in VOC layout."""

    target: ClassVar = "twinsight.data.folder:Folder"
    name: Literal["folder"] = "folder"
    root: Path = Path(".")
    """Folder of images (searched recursively); or of images and masks, or train/images, train/masks, val/images, ...;
    or of a VOC layout (ImageSets, JPEGImages, SegmentationClass)."""
    masks: Path | None = None
    """Folder of masks: one PNG of class indices per image, of the same name; 255 is void."""
    classes: Path | None = None
    """File with one class name per line. Default: classes.txt in root or in the masks' folder."""
    val_fraction: Share = 0.2
    """Share of train held out for validation where neither folders nor lists state a val."""
    values: tuple[Byte, ...] | None = None
    """The value in the masks of each class, class 0 first: 0 255 for binary masks. Default: 0 1 2 ..."""
    void: tuple[Byte, ...] | None = None
    """Values in the masks that count nowhere; 0 alone for classes numbered from 1. Default: 255, unless a class has it.
    """


@dataclass(frozen=True)
class ClassFolderOptions(FileOptions):
    """Your own images in a folder for each class, without masks."""

    target: ClassVar = "twinsight.data.class_folder:ClassFolder"
    name: Literal["class-folder"] = "class-folder"
    root: Path = Path(".")
    """Folder that holds train/CLASS and val/CLASS, or CLASS, with images in each."""
    val_fraction: Share = 0.2
    """Share held out for validation where there is no folder train."""


Data = ShapesOptions | VocOptions | CocoStuffOptions | FolderOptions | ClassFolderOptions
"""Every data set that is here; a new one is added to this list."""

DATA = table(Data)


@dataclass(frozen=True)
class PairOptions(Buildable):
    """Augmentation of images and masks."""

    target: ClassVar = "twinsight.data.pairs:PairAugmentation"
    not_arguments: ClassVar = ()
    size: Pixels = 512
    """Side of a training crop in pixels."""
    scale: Annotated[tuple[Factor, Factor], RISING] = (0.5, 2.0)
    """Factor by which the image is resized before the crop, smallest and largest."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: Share = 0.5
    """Probability of color jitter."""
    brightness: NotNegative = 0.4
    contrast: NotNegative = 0.4
    saturation: NotNegative = 0.4
    hue: Annotated[float, Range(0, 0.5)] = 0.1
