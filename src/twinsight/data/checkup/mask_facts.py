"""What a check wants to know of one mask."""

import filecmp
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from twinsight.data.checkup.agreement import Agreement, agreement
from twinsight.data.checkup.regions import regions
from twinsight.data.palettes import read_palette
from twinsight.data.samples import VOID, Entry


class MaskFacts(NamedTuple):
    """pixels: (256,) of each label. smallest, largest: (256,) pixels of the smallest and largest region of each, 0 of
    labels that are not there. digest: equal for equal masks.

    palette: (N, 3) uint8, if the file has one. own: whether the mask is its own image.
    """

    pixels: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    digest: bytes
    agreement: Agreement | None
    palette: np.ndarray | None
    own: bool

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(np.flatnonzero(self.pixels).tolist())

    @property
    def void(self) -> float:
        """The fraction of the mask that is void."""
        return float(self.pixels[VOID] / self.pixels.sum())


def examine_mask(entry: Entry, gray: np.ndarray, mask: np.ndarray) -> MaskFacts:
    """gray: (h, w) uint8, the image at any size; mask: (H, W) uint8."""
    labels, areas = regions(mask)
    smallest, largest = np.full(256, mask.size), np.zeros(256, int)
    np.minimum.at(smallest, labels, areas)
    np.maximum.at(largest, labels, areas)
    return MaskFacts(
        np.bincount(labels, areas, 256).astype(np.int64),
        np.where(largest, smallest, 0),
        largest,
        blake2b(labels.tobytes() + areas.tobytes(), digest_size=16).digest(),
        agreement(gray, mask),
        None if entry.mask is None else read_palette(entry.mask),
        is_own_mask(entry),
    )


def is_own_mask(entry: Entry) -> bool:
    """Whether image and mask are one file, or equal ones."""
    if entry.mask is None or entry.image.suffix == ".json":  # labelme's, with the image in it
        return False
    return entry.image.is_file() and filecmp.cmp(entry.image, entry.mask, shallow=False)
