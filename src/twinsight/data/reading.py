"""How the image files of a data set are read: how large they may be, and what 16-bit values mean."""

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
"""Bits that cameras, microscopes and X-ray detectors fill of the 16 that a file has."""


class Reading(NamedTuple):
    """bits: how many of the 16 bits of deep images are filled (`DEPTHS`); None: by each image's own largest value.

    max_megapixels: images of more are refused before they are decoded; a megapixel takes 3 MB.
    """

    bits: int | None = None
    max_megapixels: float = 250

    def check_size(self, path: Path, height: int, width: int) -> None:
        """Raises UserError if an image has more pixels than are allowed."""
        megapixels = height * width / 1e6
        if megapixels > self.max_megapixels:
            raise UserError(
                f"{path}: has {megapixels:.3g} megapixels ({width} x {height}), more than {self.max_megapixels:g}; "
                "raise --data.max-megapixels (of predict: --max-megapixels), or make the image smaller"
            )

    def eight_bits(self, path: Path, values: np.ndarray) -> np.ndarray:
        """uint16 -> uint8, the upper 8 of the bits that are filled; uint8 as it is.

        Raises UserError if a value is beyond these bits.
        """
        if values.dtype == np.uint8:
            return values
        top = int(values.max())
        bits = self.bits or depth_of(top)
        if top >> bits:
            raise UserError(
                f"{path}: holds the value {top}, but the data set is read as one of {bits} bits (0 to {2**bits - 1}); "
                f"give --data.bits {depth_of(top)} (to predict: --bits {depth_of(top)})"
            )
        return (values >> (bits - 8)).astype(np.uint8)


STANDARD = Reading()


def depth_of(top: int) -> int:
    """The fewest bits of `DEPTHS` that hold values of 0 to `top`, at most 65535."""
    return next(bits for bits in DEPTHS if top < 1 << bits)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Whatever goes wrong with a file becomes a UserError that names it. Raises one for what is no regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe would block
            raise ValueError("no regular file")
        yield
    except UserError:
        raise
    except Exception as error:  # Decoders of broken files raise nearly anything.
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        reason = "no such file"
    elif isinstance(error, UnidentifiedImageError):
        reason = "its content is of no image format that is read"  # Pillow would name a buffer of ours
    return UserError(f"{path}: cannot be read as an image ({reason}); repair or remove the file")
