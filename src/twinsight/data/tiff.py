"""TIFF files of any bit depth, compression and layout."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from twinsight.data.reading import Reading
from twinsight.errors import UserError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ORIENTATION = 274
"""The tag, the same in EXIF; values 5 to 8 swap height and width."""

ALPHA = ((1,), (2,))
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
"""Channels of each supported photometric interpretation, without alpha."""

LOSSLESS = {
    "NONE", "CCITTRLE", "CCITTFAX3", "CCITTFAX4", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD",
    "PNG", "LERC",
}  # fmt: skip
"""Compressions that keep class indices intact."""

KEEP = "keep only 1 or 3 of them (gdal_translate -b 1 -b 2 -b 3)"


def decode(path: Path, reading: Reading) -> np.ndarray:
    """(H, W, 3) uint8 RGB, as `decode.decode_image` gives it."""
    with first_page(path) as page:
        reading.check_size(path, *size(page))
        alpha = check_channels(path, page)
        kind = int(page.photometric)
        if kind in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
            values = stored(page)
            if values.dtype.name not in ("bool", "uint8", "uint16"):
                raise UserError(
                    f"{path}: has {values.dtype} pixels, whose range is unknown; convert it to uint8 or uint16"
                )
            if alpha:
                check_alpha(path, values)
                values = values[..., :-1]
            if page.bitspersample < 8:
                values = values * np.uint8(255 // (2**page.bitspersample - 1))
            pixels = reading.eight_bits(path, values)
            pixels = 255 - pixels if kind == WHITE_IS_ZERO else pixels
            return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.require(pixels, requirements=["C", "W"])
    with Image.open(path, formats=("TIFF",)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def decode_labels(path: Path, reading: Reading) -> np.ndarray:
    """(H, W) integers as stored, ignoring any palette."""
    with first_page(path) as page:
        reading.check_size(path, *size(page))
        if page.compression.name not in LOSSLESS:
            raise UserError(
                f"{path}: is compressed with {page.compression.name}, which may change class indices; save masks as PNG"
            )
        channels = stored(page)
    labels = channels[..., 0]
    if channels.shape[2] not in (1, 3) or (channels != labels[..., None]).any():
        raise UserError(f"{path}: has {channels.shape[2]} channels, not class indices; convert it to one channel")
    if labels.dtype.kind not in "bui":
        raise UserError(f"{path}: holds {labels.dtype} numbers; save class indices as integers")
    return labels


@contextmanager
def first_page(path: Path) -> Generator[Any]:
    """The first image of a file. Raises UserError if the next has the same size, ValueError if it is truncated."""
    import tifffile  # takes half a second; only TIFF needs it

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        second: Any = file.pages[1] if len(file.pages) > 1 else None
        if second is not None and second.shape == page.shape and not second.subfiletype:
            raise UserError(f"{path}: holds {len(file.pages)} images; save each to its own file")
        # Some decoders silently read missing data as zeros.
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts))
        if max(ends, default=0) > file.filehandle.size:
            raise ValueError("truncated TIFF")
        yield page


def size(page: Any) -> tuple[int, int]:
    """Height and width after rotation by the orientation tag."""
    stored = page.imagelength, page.imagewidth
    return stored[::-1] if orientation(page) >= 5 else stored


def stored(page: Any) -> np.ndarray:
    """(H, W, channels), rotated upright, in the file's own dtype; bool for 1 bit."""
    values = page.asarray()
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"its axes are {page.axes}")
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(*values.shape[:2], -1)
    turn = orientation(page)
    if turn >= 5:
        values = values.swapaxes(0, 1)
    return values[:: -1 if turn in (3, 4, 7, 8) else 1, :: -1 if turn in (2, 3, 6, 7) else 1]


def orientation(page: Any) -> int:
    tag = page.tags.get(ORIENTATION)
    return 1 if tag is None else int(tag.value)


def check_channels(path: Path, page: Any) -> bool:
    """Whether the last channel is alpha. Raises UserError if the number of channels does not fit the pixels."""
    kind, channels = int(page.photometric), page.samplesperpixel
    expected = CHANNELS.get(kind)
    if expected is None:
        raise UserError(f"{path}: has {page.photometric.name} pixels, which are not supported; convert it to RGB")
    # GDAL labels three 16-bit bands as gray plus two; every reader takes them for red, green and blue.
    if channels == 3 and kind == BLACK_IS_ZERO:
        return False
    alpha = channels == expected + 1 and page.extrasamples[-1:] in ALPHA
    if channels != expected + alpha:
        raise UserError(f"{path}: has {channels} channels; {KEEP}")
    return alpha


def check_alpha(path: Path, values: np.ndarray) -> None:
    """Raises UserError if the last channel, labeled alpha, is not: GDAL labels the fourth of any four bands alpha.

    Real alpha is 0 or the maximum almost everywhere except at edges.
    """
    alpha, top = values[..., -1], np.iinfo(values.dtype).max
    if np.mean((alpha > 0) & (alpha < top)) > 0.1:
        raise UserError(
            f"{path}: has {values.shape[2]} channels, the last labeled alpha but often partly transparent; {KEEP}"
        )
