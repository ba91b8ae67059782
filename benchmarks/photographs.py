"""JPEG files with the size and the detail of photographs, so that a benchmark needs no download."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image


@contextmanager
def photographs(count: int, height: int = 375, width: int = 500) -> Iterator[Path]:
    """A temporary folder of `count` files of about 100 kB, as those of PASCAL VOC and ImageNet are."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(count):
            Image.fromarray(photograph(height, width, seed=i)).save(Path(folder, f"{i:04d}.jpg"), quality=90)
        yield Path(folder)


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """(height, width, 3) uint8 noise whose amplitude falls with frequency as in natural scenes; color varies less."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 2 / width
    waves = rng.normal(size=(4, *frequency.shape)) * np.exp(2j * np.pi * rng.random((4, *frequency.shape)))
    gray, *color = np.fft.irfft2(waves / frequency**1.4, s=(height, width))
    pixels = np.stack([gray / gray.std() + 0.4 * plane / plane.std() for plane in color], axis=-1)
    return np.clip(128 + 60 * pixels, 0, 255).astype(np.uint8)
