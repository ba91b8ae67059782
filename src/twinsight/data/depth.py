"""How many of their 16 bits the deep images of a data set fill, decided once for all of them."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from twinsight.data import tiff
from twinsight.data.decode import decode_image
from twinsight.data.reading import STANDARD, Reading, depth_of, naming
from twinsight.errors import Remark, UserError

T = TypeVar("T")

MAY_BE_DEEP = frozenset({".png", ".tif", ".tiff", ".jp2", ".j2k"})
HEADERS, DECODED = 256, 16
"""How many files are looked at, and how many of the deep ones are decoded."""


class Largest(Reading):
    """Notes the largest of the values that are to be brought to 8 bits, where there are any."""

    top: int | None = None

    def eight_bits(self, path: Path, values: np.ndarray) -> np.ndarray:
        if values.dtype == np.uint16:
            self.top = int(values.max())
        return values


def decide(files: Sequence[Path], bits: int | None = None, max_megapixels: float | None = None) -> Reading:
    """How images that belong together are read; what is None is decided by `decide_bits`, or is the default."""
    limit = max_megapixels or STANDARD.max_megapixels
    return Reading(bits or decide_bits(files, limit), limit)


def decide_bits(files: Sequence[Path], max_megapixels: float) -> int | None:
    """The bits that hold the largest value of 16 of the deep images among 256, both evenly chosen; None without any.

    Remarks what was decided, and leaves files that cannot be read to their reader.
    """
    looked_at = evenly([file for file in files if file.suffix.lower() in MAY_BE_DEEP], HEADERS)
    deep = evenly([file for file in looked_at if is_deep(file)], DECODED)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(partial(largest, max_megapixels=max_megapixels), deep))
    top = max((each for each in found if each is not None), default=None)
    if top is None:
        return None
    bits = depth_of(top)
    warnings.warn(
        f"16-bit images are read by {bits} of their bits: the largest value of the {len(deep)} looked at is {top}; "
        "--data.bits (of predict: --bits) overrides that",
        Remark,
        stacklevel=1,
    )
    return bits


def evenly(files: Sequence[T], count: int) -> list[T]:
    """At most `count` of them, from the first to the last."""
    return [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).astype(int))]


def is_deep(file: Path) -> bool:
    """Whether the header says more than 8 bits, or nothing of them, as that of JPEG 2000."""
    try:
        with naming(file):
            with open(file, "rb") as opened:
                start = opened.read(25)
            if start.startswith(tiff.MAGIC):
                with tiff.first_page(file) as page:
                    return page.bitspersample > 8
            return start[24] == 16 if start.startswith(b"\x89PNG") else file.suffix.lower() in (".jp2", ".j2k")
    except UserError:
        return False


def largest(file: Path, max_megapixels: float) -> int | None:
    looking = Largest(max_megapixels=max_megapixels)
    try:
        decode_image(file, looking)
    except UserError:
        return None
    return looking.top
