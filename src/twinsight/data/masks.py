"""Masks written to files: palette PNGs of 8 bits, which every reader takes for the class indices that they are."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_mask(file: Path, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write (H, W) uint8 class indices as a PNG, which viewers show in the colors of `palette`, (classes, 3) uint8.

    The format is PNG whatever the name of the file.
    """
    image = Image.fromarray(labels, mode="P")
    # Up to 16 colors, Pillow packs several pixels into a byte, which torchvision's decode_image hands out packed;
    # asking it for `bits=8` sets an upper limit only, so the palette has to be full.
    image.putpalette(palette.tobytes().ljust(3 * 256, b"\0"))
    # zlib's best for masks: a third of the time of Pillow's default, files a third larger.
    image.save(file, format="PNG", compress_level=1)
