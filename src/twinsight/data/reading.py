"""How image files are read: the largest size allowed, and how 16-bit values become 8-bit."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import UnidentifiedImageError

from twinsight.errors import UserError

DEPTHS = (8, 10, 12, 14, 16)
"""Bit depths that cameras, microscopes and X-ray detectors store in 16-bit files."""


class Reading(NamedTuple):
    """How to read the images of a data set.

    bits: bit depth of 16-bit images, one of `DEPTHS`; None derives it from each image's largest value.
    max_megapixels: larger images are refused before they are decoded; a megapixel takes 3 MB.
    """

    bits: int | None = None
    max_megapixels: float = 250

    def check_size(self, path: Path, height: int, width: int) -> None:
        """Raises UserError if an image exceeds `max_megapixels`."""
        megapixels = height * width / 1e6
        if megapixels > self.max_megapixels:
            raise UserError(
                f"{path}: has {megapixels:.3g} megapixels ({width} x {height}), more than {self.max_megapixels:g}; "
                "raise --data.max-megapixels (of predict: --max-megapixels), or make the image smaller"
            )

    def eight_bits(self, path: Path, values: np.ndarray) -> np.ndarray:
        """uint16 -> uint8, the upper 8 bits of the bit depth; uint8 is returned unchanged.

        Raises UserError if a value exceeds the bit depth.
        """
        if values.dtype == np.uint8:
            return values
        top = int(values.max())
        bits = self.bits or depth_of(top)
        if top >> bits:
            raise UserError(
                f"{path}: holds the value {top}, but the data set is read as {bits}-bit (0 to {2**bits - 1}); "
                f"give --data.bits {depth_of(top)} (to predict: --bits {depth_of(top)})"
            )
        return (values >> (bits - 8)).astype(np.uint8)


STANDARD = Reading()


def depth_of(top: int) -> int:
    """The smallest of `DEPTHS` that holds values from 0 to `top`, at most 65535."""
    return next(bits for bits in DEPTHS if top < 1 << bits)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Turns any error with a file into a UserError that names it. Raises one too if it is not a regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would block
            raise ValueError("not a regular file")
        yield
    except UserError:
        raise
    except Exception as error:  # On broken files decoders raise nearly anything.
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        reason = "no such file"
    elif isinstance(error, UnidentifiedImageError):
        reason = "not in a supported image format"  # Pillow would name our buffer
    return UserError(f"{path}: cannot be read as an image ({reason}); repair or remove the file")
