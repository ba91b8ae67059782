"""Augmentation of an image together with its mask, for training a segmenter."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from twinsight.data import color
from twinsight.data.samples import VOID
from twinsight.data.views import Box, draw_jitter, resized_crop


class PairParams(NamedTuple):
    """The parameters drawn for one pair.

    source: the crop, in the pixels of the original image.
    target: where the resized crop goes in the result; the rest is void.
    flip: whether the result is mirrored left to right.
    jitter: (operation, factor) in the order applied, names as in `color.JITTER`; empty for none.
    """

    source: Box
    target: Box
    flip: bool
    jitter: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PairAugmentation:
    """Random scale, crop, flip and color jitter: any (H, W, 3) image and (H, W) mask -> `size`.

    A scaled image smaller than `size` is placed at random and padded with `fill` and void. Only the crop is
    resized: the image bilinearly with antialiasing, the mask by nearest neighbor, both with pixel centers at
    half integers, so that they stay aligned.

    size: (height, width) of the result in pixels; an int for a square.
    scale: factor on both sides of the image, uniform in (min, max).
    flip, jitter: probabilities.
    brightness, contrast, saturation: factors are uniform in 1 - value .. 1 + value. hue: largest shift, in turns.
    fill: RGB of the padding; by default ImageNet's mean color, which normalization maps to about zero.
    """

    size: int | tuple[int, int] = 512
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    jitter: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    fill: tuple[int, int, int] = (124, 116, 104)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.apply(image, mask, self.draw(rng, *image.shape[:2]))

    def draw(self, rng: np.random.Generator, height: int, width: int) -> PairParams:
        """The parameters for one image of height x width pixels."""
        factor = rng.uniform(*self.scale)
        (top, h, y, new_h), (left, w, x, new_w) = (
            _draw_side(rng, length, size, factor) for length, size in zip((height, width), self._sides)
        )
        return PairParams(
            source=Box(top, left, h, w),
            target=Box(y, x, new_h, new_w),
            flip=rng.random() < self.flip,
            jitter=draw_jitter(rng, self.brightness, self.contrast, self.saturation, self.hue)
            if rng.random() < self.jitter
            else (),
        )

    def apply(self, image: np.ndarray, mask: np.ndarray, params: PairParams) -> tuple[np.ndarray, np.ndarray]:
        """The (h, w, 3) uint8 image and (h, w) uint8 mask for these parameters."""
        source, target = params.source, params.target
        pixels = resized_crop(image, source, target.height, target.width, "bilinear")
        for operation, factor in params.jitter:
            pixels = color.JITTER[operation](pixels, factor)
        # Not cv2.INTER_NEAREST, whose pixel centers differ, nor INTER_NEAREST_EXACT, which rounds some ties wrongly.
        rows = source.top + _nearest(source.height, target.height)
        columns = source.left + _nearest(source.width, target.width)
        labels = mask[rows][:, columns]

        height, width = self._sides
        if (target.height, target.width) != (height, width):
            below, right = height - target.top - target.height, width - target.left - target.width
            border = target.top, below, target.left, right, cv2.BORDER_CONSTANT
            pixels = cv2.copyMakeBorder(pixels, *border, value=self.fill)
            labels = cv2.copyMakeBorder(labels, *border, value=(VOID,))
        return (cv2.flip(pixels, 1), cv2.flip(labels, 1)) if params.flip else (pixels, labels)

    @property
    def _sides(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


def _draw_side(rng: np.random.Generator, length: int, size: int, factor: float) -> tuple[int, int, int, int]:
    """Along one side: start and length of the crop in the image, then in the result."""
    crop = max(1, round(size / factor))
    if crop <= length:
        return int(rng.integers(length - crop + 1)), crop, 0, size
    scaled = min(size, max(1, round(length * factor)))
    return 0, length, int(rng.integers(size - scaled + 1)), scaled


def _nearest(length: int, new_length: int) -> np.ndarray:
    """For each new pixel, the old pixel that contains its center: torch's "nearest-exact"."""
    return (2 * np.arange(new_length) + 1) * length // (2 * new_length)
