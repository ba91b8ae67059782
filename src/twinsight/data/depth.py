"""The bit depth of a data set's 16-bit images, decided once for all of them."""

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
"""How many headers are read, and how many 16-bit images are decoded."""


class Largest(Reading):
    """Records the largest value of a 16-bit image; None for other images."""

    top: int | None = None

    def eight_bits(self, path: Path, values: np.ndarray) -> np.ndarray:
        if values.dtype == np.uint16:
            self.top = int(values.max())
        return values


def decide(files: Sequence[Path], bits: int | None = None, max_megapixels: float | None = None) -> Reading:
    """How to read images that belong together: `decide_bits` and the default size limit replace None."""
    limit = max_megapixels or STANDARD.max_megapixels
    return Reading(bits or decide_bits(files, limit), limit)


def decide_bits(files: Sequence[Path], max_megapixels: float) -> int | None:
    """The bit depth of the largest value in up to 16 of the 16-bit images; None if there are none.

    Looks at up to 256 evenly spaced files and warns (`Remark`) about its choice. Unreadable files are skipped here.
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
        f"16-bit images are read as {bits}-bit: the largest value in the {len(deep)} sampled is {top}; "
        "if that is wrong, give --data.bits (to predict: --bits)",
        Remark,
        stacklevel=1,
    )
    return bits


def evenly(files: Sequence[T], count: int) -> list[T]:
    """At most `count` of the files, evenly spaced from first to last."""
    return [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).astype(int))]


def is_deep(file: Path) -> bool:
    """Whether the header gives more than 8 bits, or, for JPEG 2000, may do so."""
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
