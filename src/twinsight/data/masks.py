"""Masks in files: read as the values that are stored, written as palette PNGs of 8 bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from twinsight.data import tiff
from twinsight.data.decode import FORMATS
from twinsight.data.reading import STANDARD, Reading, naming
from twinsight.errors import UserError

OUTLINE = (224, 224, 192)
"""The color of void: what PASCAL VOC draws around objects."""

LOSSLESS = ("PNG", "BMP", "GIF")
"""Formats beside TIFF that keep every value."""

ARRAY = b"\x93NUMPY"
"""How a .npy file begins."""

# Pillow stretches gray PNGs of 2 and 4 bits over 0..255; a mask wants the indices back.
STRETCH = {"L;2": 85, "L;4": 17}


def decode_mask(path: Path, reading: Reading = STANDARD) -> np.ndarray:
    """(H, W) uint8 class indices of a gray or palette image, whatever colors its palette has, or of a NumPy array.

    A picture of three equal channels is gray too, and one of a single color is a mask by its transparency.

    Raises UserError, naming the file, if it is missing, truncated or no image, has too many pixels, is a picture (RGB,
    or compressed in a way that changes the indices, as JPEG is), or if an index is beyond 255.
    """
    with naming(path):
        with open(path, "rb") as file:
            start = file.read(6)
        if start == ARRAY:
            labels = by_numpy(path, reading)
        else:
            labels = tiff.decode_labels(path, reading) if start[:4] in tiff.MAGIC else by_pillow(path, reading)
    low, high = labels.min(), labels.max()
    if low < 0 or high > 255:
        raise UserError(
            f"{path}: holds values from {low} to {high}; renumber its classes into 0 to 254, void 255 (if these are "
            "numbers of objects, save masks of classes instead)"
        )
    return np.ascontiguousarray(labels, np.uint8)


def by_numpy(path: Path, reading: Reading) -> np.ndarray:
    labels = np.load(path, allow_pickle=False)
    if labels.ndim != 2 or labels.dtype.kind not in "bui" or not labels.size:
        shape = " x ".join(map(str, labels.shape))
        raise UserError(f"{path}: is an array of {shape} {labels.dtype}; save one index per pixel, as (H, W) integers")
    reading.check_size(path, *labels.shape)
    return labels


def by_pillow(path: Path, reading: Reading) -> np.ndarray:
    with Image.open(path, formats=(*FORMATS, "JPEG")) as file:
        if file.format not in LOSSLESS:
            raise UserError(f"{path}: is a {file.format}, whose compression changes class indices; save masks as PNG")
        reading.check_size(path, file.height, file.width)
        stretch = STRETCH.get(str(file.tile[0].args), 1) if file.format == "PNG" else 1
        mask = ImageOps.exif_transpose(file)
    if mask.mode in ("1", "L", "P", "I;16"):
        return np.array(mask) if stretch == 1 else np.asarray(mask) // stretch
    labels = one_channel(np.asarray(mask)) if mask.mode in ("RGB", "RGBA", "LA") else None
    if labels is None:
        raise UserError(
            f"{path}: is an {mask.mode} picture, not class indices; convert it to one channel that holds each pixel's "
            "class index (0, 1, 2, ... and 255 for void), or list the colors of the classes in classes.csv (name,r,g,b)"
        )
    return labels


def one_channel(picture: np.ndarray) -> np.ndarray | None:
    """(H, W, 2 to 4) uint8 -> (H, W): its gray, or its alpha if all that can be seen is of one color; else None."""
    gray = picture[..., 0]
    if picture.shape[2] % 2 == 0 and (alpha := picture[..., -1]).min() < 255:
        seen = picture[..., :-1][alpha > 0]
        return alpha if len(seen) and (seen == seen[0]).all() else None
    return gray if picture.shape[2] == 2 or (picture[..., :3] == gray[..., None]).all() else None


def is_colored(path: Path) -> bool:
    """Whether a file is a picture that `decode_mask` refuses for its colors; False for what cannot be read at all."""
    return in_channels(path, ("RGB", "RGBA"), colored=True)


def is_gray_picture(path: Path) -> bool:
    """Whether a file is a picture of three equal channels."""
    return in_channels(path, ("RGB",), colored=False)


def in_channels(path: Path, modes: Sequence[str], colored: bool) -> bool:
    try:
        with Image.open(path, formats=(*LOSSLESS, "TIFF")) as file:
            return file.mode in modes and (one_channel(np.asarray(file)) is None) == colored
    except (OSError, ValueError, SyntaxError):  # reading the sample will name the broken file
        return False


def write_mask(file: Path | BinaryIO, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write (H, W) uint8 class indices as a PNG, which viewers show in the colors of `palette`, (classes, 3) uint8, and
    255 in VOC's color of void, unless it is a class.

    The format is PNG whatever the name of the file.
    """
    full = np.zeros((256, 3), np.uint8)
    full[255] = OUTLINE
    full[: len(palette)] = palette
    image = Image.fromarray(labels, mode="P")
    # Up to 16 colors, Pillow packs several pixels into a byte, which torchvision's decode_image hands out packed;
    # asking it for `bits=8` sets an upper limit only, so the palette has to be full.
    image.putpalette(full.tobytes())
    # zlib's best for masks: a third of the time of Pillow's default, files a third larger.
    image.save(file, format="PNG", compress_level=1)
