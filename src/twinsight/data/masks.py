"""Masks in files: read as the values that are stored, written as palette PNGs of 8 bits."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from twinsight.data import tiff
from twinsight.data.decode import FORMATS
from twinsight.data.reading import STANDARD, Reading, naming
from twinsight.errors import UserError

LOSSLESS = ("PNG", "BMP", "GIF")
"""Formats beside TIFF that keep every value."""

# Pillow stretches gray PNGs of 2 and 4 bits over 0..255; a mask wants the indices back.
STRETCH = {"L;2": 85, "L;4": 17}


def decode_mask(path: Path, reading: Reading = STANDARD) -> np.ndarray:
    """(H, W) uint8 class indices of a gray or palette image, whatever colors its palette has.

    Raises UserError, naming the file, if it is missing, truncated or no image, has too many pixels, is a picture (RGB,
    or compressed in a way that changes the indices, as JPEG is), or if an index is beyond 255.
    """
    with naming(path):
        with open(path, "rb") as file:
            start = file.read(4)
        labels = tiff.decode_labels(path, reading) if start in tiff.MAGIC else by_pillow(path, reading)
    low, high = labels.min(), labels.max()
    if low < 0 or high > 255:
        raise UserError(f"{path}: holds values from {low} to {high}; renumber its classes into 0 to 254, void 255")
    return np.ascontiguousarray(labels, np.uint8)


def by_pillow(path: Path, reading: Reading) -> np.ndarray:
    with Image.open(path, formats=(*FORMATS, "JPEG")) as file:
        if file.format not in LOSSLESS:
            raise UserError(f"{path}: is a {file.format}, whose compression changes class indices; save masks as PNG")
        reading.check_size(path, file.height, file.width)
        stretch = STRETCH.get(str(file.tile[0].args), 1) if file.format == "PNG" else 1
        mask = ImageOps.exif_transpose(file)
    if mask.mode not in ("1", "L", "P", "I;16"):
        raise UserError(
            f"{path}: is an {mask.mode} picture, not class indices; convert it to one channel "
            "that holds each pixel's class index (0, 1, 2, ... and 255 for void)"
        )
    return np.asarray(mask) // stretch


def write_mask(file: Path | BinaryIO, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write (H, W) uint8 class indices as a PNG, which viewers show in the colors of `palette`, (classes, 3) uint8.

    The format is PNG whatever the name of the file.
    """
    image = Image.fromarray(labels, mode="P")
    # Up to 16 colors, Pillow packs several pixels into a byte, which torchvision's decode_image hands out packed;
    # asking it for `bits=8` sets an upper limit only, so the palette has to be full.
    image.putpalette(palette.tobytes().ljust(3 * 256, b"\0"))
    # zlib's best for masks: a third of the time of Pillow's default, files a third larger.
    image.save(file, format="PNG", compress_level=1)
