"""What an image file says of itself: its size, its kind of pixels, which way is up, and what its colors mean."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageCms

from twinsight.data import tiff
from twinsight.data.decode import FORMATS

KINDS = {
    "1": "bilevel", "L": "gray", "LA": "gray with alpha", "I;16": "gray", "P": "palette", "PA": "palette",
    "RGB": "RGB", "RGBA": "RGB with alpha", "CMYK": "CMYK", "YCbCr": "RGB", "LAB": "Lab",
}  # fmt: skip
"""Pillow's modes in words."""

TIFF_KINDS = {
    tiff.WHITE_IS_ZERO: "gray", tiff.BLACK_IS_ZERO: "gray", tiff.RGB: "RGB", tiff.PALETTE: "palette",
    tiff.CMYK: "CMYK", tiff.YCBCR: "RGB", tiff.LAB: "Lab",
}  # fmt: skip

PROFILE = 34675
"""The TIFF tag of a color profile."""


class Header(NamedTuple):
    """stored: height and width as stored, before the orientation turns them.

    kind: "RGB", "gray", "CMYK", "16-bit gray" and the like. orientation: as EXIF numbers it, 1 is upright.
    profile: the name of a color profile that is not sRGB; "" for sRGB and for none.
    """

    stored: tuple[int, int]
    kind: str
    orientation: int = 1
    profile: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Upright height and width."""
        height, width = self.stored
        return (width, height) if self.orientation >= 5 else (height, width)


def read_header(path: Path, data: bytes) -> Header:
    """The header of an image that can be decoded; data: the content of the file. Raises whatever its reader does."""
    if data.startswith(tiff.MAGIC):
        with tiff.first_page(path) as page:
            tag = page.tags.get(PROFILE)
            bits = f"{page.bitspersample}-bit " if page.bitspersample > 8 else ""
            kind = bits + TIFF_KINDS.get(int(page.photometric), str(page.photometric.name))
            profile = profile_name(bytes(tag.value)) if tag else ""
            return Header((page.imagelength, page.imagewidth), kind, tiff.orientation(page), profile)
    with Image.open(BytesIO(data), formats=(*FORMATS, "JPEG")) as image:
        deep = image.mode.startswith("I") or (image.format == "PNG" and data[24] == 16)
        kind = ("16-bit " if deep else "") + KINDS.get(str(image.mode), str(image.mode))
        orientation = image.getexif().get(tiff.ORIENTATION, 1)
        profile = profile_name(image.info.get("icc_profile") or b"")
        return Header((image.height, image.width), kind, orientation if orientation in range(1, 9) else 1, profile)


@lru_cache(maxsize=64)
def profile_name(content: bytes) -> str:
    if not content:
        return ""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(content))).strip()
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"
    return "" if "srgb" in name.lower() else name or "without a name"
