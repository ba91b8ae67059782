"""What data sets of files have in common."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from twinsight.errors import UserError
from twinsight.options.build import Buildable, build
from twinsight.options.ranges import NotNegative, PositiveShare, Range, Seed, Share

Bits = Literal[8, 10, 12, 14, 16]
Megapixels = Annotated[float, Range(0, 1000, above=True)]


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
class FileOptions(DataOptions):
    not_arguments: ClassVar = (
        "name", "train", "val", "cache", "bits", "max_megapixels", "tolerate", "fraction", "fraction_seed",
    )  # fmt: skip
    cache: Path | None = None
    """Folder for a decoded copy of the training images, shared by all epochs and runs: 3 bytes per pixel, 4 with
    masks."""
    bits: Bits | None = None
    """Bits in use of 16-bit images, such as 12 for X-rays. Default: found from the largest value in a sample of them,
    and kept in the run."""
    max_megapixels: Megapixels = 250
    """Refuse larger images before decoding them."""
    tolerate: NotNegative = 0
    """Largest number of broken images to skip, or, below 1, largest fraction, such as 0.1%. Each is named once; in a
    training the next image takes its place."""
    fraction: PositiveShare = 1.0
    """Train on this fraction of the training images, such as 5%; a larger one adds to a smaller one."""
    fraction_seed: Seed = 0
    """Seed of that choice of images."""

    def open(self, role: Literal["train", "val"]) -> Any:
        dataset = super().open(role)
        dataset.read_as(self.bits, self.max_megapixels)
        dataset.tolerate = self.tolerate
        if getattr(self, role) == self.train:
            dataset.keep(self.fraction, self.fraction_seed)
        return dataset

    def settled(self, dataset: Any) -> Self:
        return replace(self, bits=dataset.reading.bits)


@dataclass(frozen=True)
class SplitOptions(FileOptions):
    """Data that may come without a validation split."""

    val_fraction: Share = 0.2
    """Fraction of the training images to hold out for validation if neither folders nor lists name a validation split,
    chosen by a hash of their names."""
    group: str | None = None
    """Regular expression that finds a name in each image's name, such as "(.*)_" for the drive of drive7_001: images of
    one patient, drive or video then stay on one side of the split."""
