"""Image files in, uint8 arrays out: JPEG by OpenCV, which is twice as fast, every other format by Pillow."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from twinsight.errors import UserError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""What counts as an image when a folder is searched; compare in lower case."""

# Pillow stretches gray PNGs of 2 and 4 bits over 0..255; a mask wants the indices back.
STRETCH = {"L;2": 85, "L;4": 17}

ORIENTATION = 0x0112
"""The EXIF tag; its values 5 to 8 turn an image on its side."""


def decode_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright as its EXIF orientation says.

    Gray is repeated over the channels, palettes and CMYK are converted, 16 bits keep the upper 8, and alpha
    is dropped: the colors stay as stored, nothing is painted behind them. Raises UserError, naming the file,
    if it is missing, truncated or no image, or if its pixels are 32-bit numbers, whose range nobody knows.
    """
    try:
        data = path.read_bytes()
        # OpenCV reads JPEGs by libjpeg as Pillow does, and since 4.11 refuses those that end early.
        if data[:3] == b"\xff\xd8\xff":
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            if pixels is None:
                raise ValueError("truncated or corrupt JPEG")
            return pixels
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
    except Exception as error:  # Decoders of broken files raise nearly anything.
        raise unreadable(path, error) from error
    if image.mode in ("I", "F"):
        raise UserError(f"{path}: has 32-bit pixels, whose range is unknown; convert it to 8 or 16 bits")
    if image.mode.startswith("I;16"):
        gray = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    # Through RGBA, since Pillow warns about a palette with transparency on its way to RGB.
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of what `decode_image` will give, from the header alone. Raises UserError as it does."""
    try:
        with Image.open(path) as file:
            width, height = file.size
            # Of a TIFF, Pillow tells the upright size.
            lies = file.format != "TIFF" and file.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise unreadable(path, error) from error
    return (width, height) if lies else (height, width)


def decode_mask(path: Path) -> np.ndarray:
    """(H, W) uint8 class indices of a gray or palette image, whatever colors its palette has.

    Raises UserError, naming the file, if it is missing, truncated or no image, if it is a picture (RGB, or
    any JPEG, whose compression changes the indices), or if an index is beyond 255.
    """
    try:
        with Image.open(path) as file:
            stretch = STRETCH.get(str(file.tile[0].args), 1) if file.format == "PNG" else 1
            lossy = file.format == "JPEG"
            mask = ImageOps.exif_transpose(file)
    except Exception as error:
        raise unreadable(path, error) from error
    if lossy:
        raise UserError(f"{path}: is a JPEG, whose compression changes class indices; save masks as PNG")
    if mask.mode not in ("1", "L", "P", "I") and not mask.mode.startswith("I;16"):
        raise UserError(
            f"{path}: is an {mask.mode} picture, not class indices; convert it to one channel "
            "that holds each pixel's class index (0, 1, 2, ... and 255 for void)"
        )
    labels = np.asarray(mask)
    low, high = labels.min(), labels.max()
    if low < 0 or high > 255:
        raise UserError(f"{path}: holds values from {low} to {high}; renumber its classes into 0 to 254, void 255")
    return labels.astype(np.uint8) // stretch


def unreadable(path: Path, error: Exception) -> UserError:
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
    return UserError(f"{path}: cannot be read as an image ({reason}); mend or remove the file")
