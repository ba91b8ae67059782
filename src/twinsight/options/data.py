"""Data sets, and how their images are augmented with their masks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from twinsight.options.build import Buildable, build
from twinsight.options.choices import table
from twinsight.options.exports import Exports
from twinsight.options.files import DataOptions, SplitOptions
from twinsight.options.marks import RISING
from twinsight.options.public import Public
from twinsight.options.ranges import Factor, Images, NotNegative, Pixels, Range, Seed, Share

Byte = Annotated[int, Range(0, 255)]
Radius = Annotated[float, Range(0, 0.5, above=True)]


@dataclass(frozen=True)
class ShapesOptions(DataOptions):
    """Synthetic scenes, drawn as they are read: nothing to download."""

    target: ClassVar = "twinsight.data.shapes:Shapes"
    name: Literal["shapes"] = "shapes"
    not_arguments: ClassVar = ("name", "train", "val", "val_count")
    count: Images = 2000
    """Number of training images."""
    val_count: Images = 500
    """Number of validation images."""
    size: Annotated[int, Range(16, 2**15)] = 96
    """Side of an image, in pixels."""
    seed: Seed = 0
    """Seed of the scenes, independent of the training's --seed."""
    objects: Annotated[int, Range(1, 100)] = 2
    """Largest number of objects in an image."""
    crowding: Share = 0.25
    """Probability of each object after the first."""
    radius: Annotated[tuple[Radius, Radius], RISING] = (0.3, 0.45)
    """Smallest and largest radius of an object, as fractions of the image's side."""
    texture: Share = 0.25
    """Contrast of the background's texture."""

    def open(self, role: Literal["train", "val"]) -> Any:
        split = getattr(self, role)
        return build(self, split=split, count=self.count if split == "train" else self.val_count)


@dataclass(frozen=True)
class FolderOptions(SplitOptions):
    """Your own images, with masks in a second folder or in VOC layout."""

    target: ClassVar = "twinsight.data.folder:Folder"
    name: Literal["folder"] = "folder"
    root: Path = Path(".")
    """Folder of images, searched recursively; or one that contains folders images and masks (labels, annotations, gt,
    ...) at any depth, or masks beside images as NAME_mask.png; or one in VOC layout (ImageSets, JPEGImages,
    SegmentationClass)."""
    masks: Path | None = None
    """Folder of masks: for each image a PNG, TIFF or .npy of the same name with a class index per pixel; 255 is
    void."""
    classes: Path | None = None
    """File with one class name per line. Default: classes.txt in root or in the folder of masks; masks of 0 and 255, or
    of 0 and 1, need none."""
    values: tuple[Byte, ...] | None = None
    """Value of each class in the masks, class 0 first, such as 0 255 for binary masks. Default: 0 1 2 ..."""
    void: tuple[Byte, ...] | None = None
    """Values in the masks to ignore, such as 0 if classes are numbered from 1. Default: 255, unless a class has it."""

    def settled(self, dataset: Any) -> Self:
        """The values of binary masks are found once, and stay what they are if masks are added."""
        options, found = super().settled(dataset), dataset.values
        return options if found is None else replace(options, values=found.values, void=found.void)


@dataclass(frozen=True)
class ClassFolderOptions(SplitOptions):
    """Your own images without masks, in one folder per class."""

    target: ClassVar = "twinsight.data.class_folder:ClassFolder"
    name: Literal["class-folder"] = "class-folder"
    root: Path = Path(".")
    """Folder that contains train/CLASS and val/CLASS, or only CLASS, with images in each."""


Data = ShapesOptions | FolderOptions | ClassFolderOptions | Exports | Public
"""Every data set; a new one is added to this list, or to one of those in it."""

DATA = table(Data)


@dataclass(frozen=True)
class PairOptions(Buildable):
    """Augmentation of images and masks."""

    target: ClassVar = "twinsight.data.pairs:PairAugmentation"
    not_arguments: ClassVar = ()
    size: Pixels = 512
    """Side of a training crop, in pixels."""
    scale: Annotated[tuple[Factor, Factor], RISING] = (0.5, 2.0)
    """Smallest and largest factor by which an image is resized before it is cropped."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    jitter: Share = 0.5
    """Probability of color jitter."""
    brightness: NotNegative = 0.4
    """Brightness jitter: multiply by a factor from 1 - x to 1 + x."""
    contrast: NotNegative = 0.4
    """Contrast jitter: multiply by a factor from 1 - x to 1 + x."""
    saturation: NotNegative = 0.4
    """Saturation jitter: multiply by a factor from 1 - x to 1 + x."""
    hue: Annotated[float, Range(0, 0.5)] = 0.1
    """Hue jitter: shift by -x to x of the color circle."""
