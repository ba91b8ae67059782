"""What a data set is: images on disk with, perhaps, a mask each."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinsight.data.decode import decode_image, image_size
from twinsight.data.depth import decide, evenly
from twinsight.data.masks import decode_mask
from twinsight.data.reading import STANDARD, Reading
from twinsight.data.wording import number
from twinsight.errors import UserError

VOID = 255
"""The label of pixels that never count: not in a loss, not in a metric, not in a figure."""


class Sample(NamedTuple):
    """One image and, where there is one, its mask.

    image: (H, W, 3) uint8, RGB.
    mask: (H, W) uint8 class indices, 255 = void; None where the data set has no masks.
    id: the image's name within its data set, unique and stable.
    """

    image: np.ndarray
    mask: np.ndarray | None
    id: str


@dataclass(frozen=True)
class Entry:
    """Where one sample lies on disk.

    mask: the file that holds its mask: a label image, or annotations, perhaps of several images.
    """

    id: str
    image: Path
    mask: Path | None = None


class Dataset:
    """Samples read from files. A data set of ours is a subclass whose `__init__` finds its entries.

    classes: the names of the classes, index = label; empty where there are no masks.
    palette: (len(classes), 3) uint8 RGB, the color of each class in every figure.
    names: the categories of whole images, sorted; empty where images have none.
    targets: each image's index into `names`, in the order of the entries; empty where images have none.
    tolerate: how many broken samples a training puts up with, as `tolerance.Tolerance` takes it.
    relatives: the images of all splits, where 16-bit ones are to be read alike; empty: its own.
    split_note: how the splits came about, with counts, in words; "" where nobody would ask.
    title: the layout in words, as in "labelme annotations"; "" where its name says it.
    coding: what else than its classes a cache of decoded masks must know a data set by.
    """

    tolerate: float = 0
    names: tuple[str, ...] = ()
    relatives: Sequence[Path] = ()
    _reading: Reading | None = None
    split_note: str = ""
    title: str = ""
    coding: tuple[str, ...] = ()
    remedy = "correct the mask or the list of classes"

    def __init__(self, entries: Sequence[Entry], classes: Sequence[str] = (), palette: np.ndarray | None = None):
        self.entries = list(entries)
        self.classes = tuple(classes)
        self.palette = default_palette(self.classes) if palette is None else palette

    @property
    def reading(self) -> Reading:
        """How its files are read; decided when first asked for, unless `read_as` was called before."""
        if self._reading is None:
            self.read_as()
        return self._reading or STANDARD

    def read_as(self, bits: int | None = None, max_megapixels: float = STANDARD.max_megapixels) -> int | None:
        """Read 16-bit images by so many of their bits, from now on and in every process; which the answer is.

        bits: 8, 10, 12, 14 or 16; None: as many as their largest values fill (`depth.decide_bits`).
        max_megapixels: images of more are refused.
        """
        files = self.relatives or [entry.image for entry in self.entries]
        self._reading = decide(files, bits, max_megapixels)
        return self._reading.bits

    def keep(self, fraction: float, seed: int = 0) -> None:
        """Keep a fraction of the samples, at least one: the same ones each time, and all that a smaller one keeps.

        fraction: above 0, up to 1. seed: which samples those are.
        """
        if fraction == 1:
            return
        ranked = sorted(self.entries, key=lambda entry: blake2b(f"{seed} {entry.id}".encode(errors="replace")).digest())
        kept = {entry.id for entry in ranked[: max(1, round(fraction * len(ranked)))]}
        self.split_note += f"{'; ' if self.split_note else ''}{len(kept)} of {len(ranked)} train ({100 * fraction:g} %)"
        self.entries = [entry for entry in self.entries if entry.id in kept]

    @property
    def targets(self) -> Sequence[int]:
        return ()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        """Raises UserError, naming the file, if image or mask cannot be read or their sizes differ."""
        image, mask, entry = self.image(index), self.mask(index), self.entries[index]
        if mask is not None and mask.shape != image.shape[:2]:
            raise UserError(
                f"{entry.mask}: has {mask.shape[1]} x {mask.shape[0]} pixels, but its image {entry.image} "
                f"has {image.shape[1]} x {image.shape[0]}; make the mask anew at its image's size"
            )
        return Sample(image, mask, entry.id)

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8. Raises UserError, naming the file, if it cannot be read."""
        return decode_image(self.entries[index].image, self.reading)

    def image_size(self, index: int) -> tuple[int, int]:
        """Height and width of an image, from its header. Raises UserError as `image`."""
        return image_size(self.entries[index].image, self.reading)

    def mask(self, index: int) -> np.ndarray | None:
        """(H, W) uint8 labels. Raises UserError, naming the file, if a label is none of the classes."""
        entry = self.entries[index]
        if entry.mask is None:
            return None
        mask = self.decode_mask(entry)
        # Void wraps round to 0. A list of all labels, which the message needs, takes 80 times as long.
        if (mask + np.uint8(1)).max() > len(self.classes):
            wrong = np.setdiff1d(mask, np.append(np.arange(len(self.classes)), VOID))
            raise UserError(
                f"{entry.mask}: holds class id {wrong[0]}, but the data set has {number(len(self.classes), 'class')} "
                f"(0 to {len(self.classes) - 1}, and {VOID} for void); {self.remedy}"
            )
        return mask

    def decode_mask(self, entry: Entry) -> np.ndarray:
        """(H, W) uint8 labels of an entry with a mask; data sets that store them in another way override this."""
        assert entry.mask is not None
        return decode_mask(entry.mask, self.reading)


def enough_images(images: int, batch_size: int) -> None:
    """Raises UserError if the images of one process do not fill a batch."""
    if images < batch_size:
        raise UserError(
            f"--batch-size {batch_size}: exceeds the number of images per process ({images}); "
            f"give --batch-size {images} or less, or more images"
        )


def usual_side(dataset: Dataset) -> int:
    """The median of the shorter sides of some of the images, in pixels; broken images do not count."""
    sides: list[int] = []
    for index in evenly(range(len(dataset)), 32):
        with suppress(UserError):
            sides.append(min(dataset.image_size(index)))
    return int(np.median(sides)) if sides else 224


def default_palette(classes: Sequence[str]) -> np.ndarray:
    """VOC's colors; its black is for a background only, and skipped where class 0 is something to be seen."""
    skip = int(bool(classes) and classes[0] != "background")
    return voc_palette(len(classes) + skip)[skip:]


def voc_palette(classes: int) -> np.ndarray:
    """The PASCAL VOC color map: (classes, 3) uint8, each class's bits spread over the three channels."""
    index = np.arange(classes)
    colors = np.zeros((classes, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors
