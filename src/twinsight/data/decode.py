"""Decodes image files to uint8 arrays: JPEG with the fastest library, other formats with the most complete."""

import base64
import json
import struct
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from twinsight.data import tiff
from twinsight.data.reading import STANDARD, Reading, naming

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".avif", ".jp2", ".j2k", ".tif", ".tiff"}
)
"""Extensions of image files, in lower case."""

FORMATS = ("PNG", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")
"""The formats that Pillow reads, besides JPEG and TIFF: none that runs programs, as EPS does."""

JPEG = b"\xff\xd8\xff"

# `Reading.max_megapixels`, which users can set, replaces Pillow's fixed limit.
Image.MAX_IMAGE_PIXELS = None


EMBEDDED = b"{"
"""How a JSON file begins, in which labelme may embed its image."""


def embedded(data: bytes) -> bytes:
    """The image file within the JSON of labelme, which has it in base64."""
    return base64.b64decode(json.loads(data)["imageData"])


def decode_image(path: Path, reading: Reading = STANDARD) -> np.ndarray:
    """(H, W, 3) uint8 RGB, rotated by its EXIF orientation; the first frame of an animation.

    Gray is repeated over the channels, palettes and CMYK are converted, `reading` reduces 9 to 16 bits to 8, and alpha
    is dropped without compositing. Raises UserError, naming the file, if it is missing, truncated, not an image or too
    large, has channels other than gray, RGB and alpha, or has 32-bit pixels, whose range is unknown.
    """
    with naming(path):
        with open(path, "rb") as file:
            start = file.read(12)
            data = b"" if start.startswith(tiff.MAGIC) else start + file.read()
        if start.startswith(EMBEDDED):
            data = embedded(data)
            start = data[:12]
        if start.startswith(tiff.MAGIC):
            return tiff.decode(path, reading)
        # OpenCV uses libjpeg, as Pillow does, and since 4.11 refuses truncated files.
        if start.startswith(JPEG):
            reading.check_size(path, *jpeg_size(data))
            return by_opencv(data, cv2.IMREAD_COLOR_RGB)
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            reading.check_size(path, image.height, image.width)
            if image.format == "JPEG2000":
                return reading.eight_bits(path, jpeg_2000(data))
            if image.format == "PNG" and data[24] == 16:  # Pillow keeps only 8 bits
                return reading.eight_bits(path, by_opencv(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH))
            return as_rgb(ImageOps.exif_transpose(image))


def by_opencv(data: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("truncated or corrupt")
    return pixels


def jpeg_2000(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 or uint16; Pillow keeps only 8 bits of color, and OpenCV refuses gray with alpha."""
    import imagecodecs

    pixels = np.atleast_3d(imagecodecs.jpeg2k_decode(data))
    channels = pixels.shape[2]
    if channels > 4 or pixels.dtype.name not in ("uint8", "uint16"):
        raise ValueError(f"{channels} channels of {pixels.dtype}")
    return np.repeat(pixels[..., :1], 3, axis=2) if channels < 3 else np.ascontiguousarray(pixels[..., :3])


def as_rgb(image: Image.Image) -> np.ndarray:
    # By way of RGBA: Pillow warns when it converts a transparent palette straight to RGB.
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width from the frame header of a JPEG."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 9 <= len(data):
        marker, length = struct.unpack_from(">BH", data, place + 1)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from(">HH", data, place + 5)
        # 0 and 0xFF are padding between segments.
        place += 1 if marker in (0x00, 0xFF) else 2 + length
    raise ValueError("truncated or corrupt JPEG")


def image_size(path: Path, reading: Reading = STANDARD) -> tuple[int, int]:
    """Height and width of `decode_image`'s result, from the header alone. Raises UserError as it does."""
    with naming(path):
        with open(path, "rb") as file:
            start = file.read(4)
        if start in tiff.MAGIC:
            with tiff.first_page(path) as page:
                height, width = tiff.size(page)
        else:
            source = BytesIO(embedded(path.read_bytes())) if start.startswith(EMBEDDED) else path
            with Image.open(source, formats=(*FORMATS, "JPEG")) as image:
                reading.check_size(path, image.height, image.width)
                on_its_side = image.getexif().get(tiff.ORIENTATION, 1) in (5, 6, 7, 8)
                height, width = image.size if on_its_side else image.size[::-1]
        reading.check_size(path, height, width)
        return height, width
