"""One sample, decoded once: what a check wants to know of it."""

from hashlib import blake2b
from math import nan
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twinsight.data.checkup.agreement import SIDE
from twinsight.data.checkup.header import Header, read_header
from twinsight.data.checkup.likeness import perceptual_hash
from twinsight.data.checkup.mask_facts import MaskFacts, examine_mask
from twinsight.data.decode import EMBEDDED, JPEG, by_opencv, decode_image, embedded
from twinsight.data.label_images import has_few_colors
from twinsight.data.reading import Reading, naming
from twinsight.data.samples import Dataset, Entry
from twinsight.errors import UserError

REDUCED = {
    1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}  # fmt: skip
"""How OpenCV decodes a JPEG at a part of its size, by which it leaves out most of the work."""

FLAT = 2.0
"""Standard deviation, of 256 levels, below which an image is of one color."""


class Facts(NamedTuple):
    """What is kept of a sample that can be read.

    size: height and width, upright. header: None for images that are drawn. deviation: of the channel that varies
    most. digest: equal for equal pictures. hash: 64 bits, most of them the same for pictures that look alike.
    few_colors: whether an image without a mask looks like one itself.

    labels: those that its mask holds; empty without a mask. void: the fraction of the mask that is void.
    mask_digest: equal for equal masks. here: of `Agreement`; NaN where that says nothing.
    """

    entry: Entry
    size: tuple[int, int]
    header: Header | None
    deviation: float
    digest: bytes
    hash: int
    few_colors: bool
    labels: tuple[int, ...] = ()
    void: float = 0.0
    mask_digest: bytes = b""
    here: float = nan

    @property
    def example(self) -> Path:
        return self.entry.mask or self.entry.image


class Seen(NamedTuple):
    """gray: (h, w) uint8, as a rule smaller than the image of `size` (height, width)."""

    gray: np.ndarray
    size: tuple[int, int]
    header: Header | None = None
    deviation: float = 0.0
    few_colors: bool = False


def examine(dataset: Dataset, index: int) -> tuple[Facts, MaskFacts | None] | UserError:
    """Facts of one sample and of its mask, if it has one; or why it cannot be read."""
    entry, kind = dataset.entries[index], type(dataset)
    try:
        if kind.__getitem__ is Dataset.__getitem__ and kind.image is Dataset.image:
            with naming(entry.image):
                seen = look(entry.image, dataset.reading)
            labels = dataset.mask(index)
            check_size(entry, seen, labels)
        else:  # drawn, or read in a way of its own
            image, labels, _ = dataset[index]
            seen = reduce(image)
    except UserError as error:
        return error
    digest = blake2b(seen.gray.tobytes(), digest_size=16, key=str(seen.size).encode()).digest()
    similar, few = perceptual_hash(seen.gray), seen.few_colors and labels is None
    facts = Facts(entry, seen.size, seen.header, seen.deviation, digest, similar, few)
    if labels is None:
        return facts, None
    mask = examine_mask(entry, seen.gray, labels)
    here = nan if mask.agreement is None else mask.agreement.here
    return facts._replace(labels=mask.labels, void=mask.void, mask_digest=mask.digest, here=here), mask


def look(path: Path, reading: Reading) -> Seen:
    """An image file in gray, JPEGs at the fraction of their size that is enough. Raises whatever decoders do."""
    data = path.read_bytes()
    data = embedded(data) if data.startswith(EMBEDDED) else data
    if not data.startswith(JPEG):
        image = decode_image(path, reading)
        return reduce(image)._replace(header=read_header(path, data), few_colors=has_few_colors(image))
    header = read_header(path, data)
    reading.check_size(path, *header.size)
    gray = by_opencv(data, REDUCED[fraction(header.size)])
    deviation = spread(gray)
    if deviation < 2 * FLAT:  # fine texture is gone, and colors may differ where gray does not
        deviation = spread(by_opencv(data, cv2.IMREAD_COLOR_RGB))
    return Seen(gray, header.size, header, deviation)


def reduce(image: np.ndarray) -> Seen:
    """(H, W, 3) uint8."""
    height, width = image.shape[:2]
    part = fraction((height, width))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (-(-width // part), -(-height // part)), interpolation=cv2.INTER_AREA)
    return Seen(small, (height, width), deviation=spread(image))


def fraction(size: tuple[int, int]) -> int:
    """The largest of 1, 2, 4, 8 by which a side can be divided that leaves about 256 pixels of the longer one."""
    return next(part for part in (8, 4, 2, 1) if max(size) >= 0.9 * SIDE * part or part == 1)


def spread(pixels: np.ndarray) -> float:
    """The standard deviation of the channel that varies most."""
    return float(cv2.meanStdDev(pixels)[1].max())


def check_size(entry: Entry, seen: Seen, mask: np.ndarray | None) -> None:
    """Raises UserError for a mask whose size differs from its image's; the message says so if EXIF is the reason."""
    if mask is None or mask.shape == seen.size:
        return
    (height, width), image = seen.size, f"its image {entry.image}"
    start = f"{entry.mask}: has {mask.shape[1]} x {mask.shape[0]} pixels, but {image} has {width} x {height}"
    if seen.header is not None and mask.shape == seen.header.stored:
        raise UserError(f"{start} once its EXIF orientation turns it upright; turn the mask too, or drop that entry")
    raise UserError(f"{start}; make the mask anew at its image's size")
