"""Augmented views of an image for self-supervised learning: parameters are drawn first, then applied."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from twinsight.data import color


class Box(NamedTuple):
    """A rectangle in an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Params(NamedTuple):
    """The parameters drawn for one view, in the order they are applied.

    box: the crop, in the pixels of the original image.
    flip: whether it is mirrored left to right.
    jitter: (operation, factor) in the order applied, names as in `color.JITTER`; empty for none.
    mix: (3, 3) matrix on RGB, None for none.
    invert, gray: whether they are applied.
    blur: sigma in pixels of the resized view, None for none.
    solarize: whether it is applied.
    """

    box: Box
    flip: bool
    jitter: tuple[tuple[str, float], ...]
    mix: np.ndarray | None
    invert: bool
    gray: bool
    blur: float | None
    solarize: bool


@dataclass(frozen=True)
class View:
    """One augmentation pipeline: (H, W, 3) uint8 -> (size, size, 3) uint8, for any H and W.

    Parameters and defaults are those of the first view of Barlow Twins (Zbontar et al., 2021, appendix A; the same
    as BYOL's). `mix` and `invert` are our additions: they keep color from giving images away. Mixing replaces each
    pixel x by M x with M = (1 - a) I + a R, a uniform in [0, 1], where each row of R is a draw from N(0, I)
    projected to sum to 1 (g - mean(g) + 1/3): colors change freely while grays stay the same.

    size: side of the view in pixels.
    scale: area of the crop as a fraction of the image, (min, max).
    ratio: width / height of the crop, (min, max), log-uniform.
    flip, jitter, mix, invert, gray, blur, solarize: probabilities.
    brightness, contrast, saturation: factors are uniform in 1 - value .. 1 + value. hue: largest shift, in turns.
    sigma: standard deviation of the blur in pixels, (min, max).
    threshold: solarization inverts values at or above it, 0 to 255.
    """

    size: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    mix: float = 0.0
    invert: float = 0.0
    gray: float = 0.2
    blur: float = 1.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0
    threshold: int = 128

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.apply(image, self.draw(rng, *image.shape[:2]))

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Params:
        """The parameters of one view of an image of height x width pixels."""
        return Params(
            box=draw_crop(rng, height, width, self.scale, self.ratio),
            flip=rng.random() < self.flip,
            jitter=draw_jitter(rng, self.brightness, self.contrast, self.saturation, self.hue)
            if rng.random() < self.jitter
            else (),
            mix=draw_mix(rng) if rng.random() < self.mix else None,
            invert=rng.random() < self.invert,
            gray=rng.random() < self.gray,
            blur=uniform(rng, *self.sigma) if rng.random() < self.blur else None,
            solarize=rng.random() < self.solarize,
        )

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        """The view for these parameters, (size, size, 3) uint8."""
        return self.color(self.crop(image, params), params)

    def crop(self, image: np.ndarray, params: Params) -> np.ndarray:
        """Crop and flip only: (H, W, 3) -> (size, size, 3) uint8."""
        view = resized_crop(image, params.box, self.size, self.size, "bicubic")
        return cv2.flip(view, 1) if params.flip else view

    def color(self, view: np.ndarray, params: Params) -> np.ndarray:
        """The rest, applied to the result of `crop`; `batched_color.recolor` does the same on a device."""
        for operation, factor in params.jitter:
            view = color.JITTER[operation](view, factor)
        if params.mix is not None:
            view = color.mix(view, params.mix)
        if params.invert:
            view = color.invert(view)
        if params.gray:
            # One channel until the end: a third of the work for the steps below.
            view = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        if params.blur is not None:
            view = color.gaussian_blur(view, params.blur)
        if params.solarize:
            view = color.solarize(view, self.threshold)
        return cv2.cvtColor(view, cv2.COLOR_GRAY2RGB) if params.gray else view


class MultiView:
    """Several views of one image, one per pipeline: DINO's multi-crop is 2 large `View`s and n small ones."""

    def __init__(self, views: Sequence[View]):
        self.views = tuple(views)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """image: (H, W, 3) uint8 -> one (size, size, 3) uint8 array per view."""
        return self.apply(image, self.draw(rng, *image.shape[:2]))

    def draw(self, rng: np.random.Generator, height: int, width: int) -> list[Params]:
        """The parameters of each view of an image of height x width pixels."""
        return [view.draw(rng, height, width) for view in self.views]

    def apply(self, image: np.ndarray, params: Sequence[Params]) -> list[np.ndarray]:
        """The views for these parameters."""
        return [view.apply(image, drawn) for view, drawn in zip(self.views, params, strict=True)]

    def crop(self, image: np.ndarray, params: Sequence[Params]) -> list[np.ndarray]:
        """The same, only cropped and flipped; see `View.crop`."""
        return [view.crop(image, drawn) for view, drawn in zip(self.views, params, strict=True)]


def one_view(
    jitter: float = 0.0, gray: float = 0.0, blur: float = 0.0, solarize: float = 0.0, **shared: Any
) -> MultiView:
    """A single view, cropped and flipped as usual in supervised training, and nothing else by default.

    shared: other parameters of `View`.
    """
    return MultiView([View(jitter=jitter, gray=gray, blur=blur, solarize=solarize, **shared)])


def two_views(
    blur: tuple[float, float] = (1.0, 0.1), solarize: tuple[float, float] = (0.0, 0.2), **shared: Any
) -> MultiView:
    """The two pipelines of BYOL and Barlow Twins, which differ in the probabilities of blur and solarization.

    shared: other parameters of `View`, for both.
    """
    return MultiView([View(blur=b, solarize=s, **shared) for b, s in zip(blur, solarize)])


def multi_crop(
    size: int = 224,
    scale: tuple[float, float] = (0.4, 1.0),
    local_views: int = 8,
    local_size: int = 96,
    local_scale: tuple[float, float] = (0.05, 0.4),
    blur: tuple[float, float, float] = (1.0, 0.1, 0.5),
    solarize: tuple[float, float, float] = (0.0, 0.2, 0.0),
    **shared: Any,
) -> MultiView:
    """DINO's pipelines (Caron et al., 2021): two large global views, then small local ones.

    blur, solarize: probabilities for the first and second global view, and for every local one. shared: other
    parameters of `View`, for all.
    """
    first, second = (View(size, scale, blur=b, solarize=s, **shared) for b, s in zip(blur[:2], solarize[:2]))
    local = View(local_size, local_scale, blur=blur[2], solarize=solarize[2], **shared)
    return MultiView([first, second, *[local] * local_views])


def draw_crop(
    rng: np.random.Generator, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Box:
    """Inception's random crop, sampled like torchvision's RandomResizedCrop: ten tries, then the center."""
    for _ in range(10):
        area = height * width * uniform(rng, *scale)
        aspect = math.exp(uniform(rng, math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return Box(int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
    # The largest central crop whose ratio is allowed; at least one pixel, even of a sliver.
    w = max(1, min(width, round(height * ratio[1])))
    h = max(1, min(height, round(width / ratio[0])))
    return Box((height - h) // 2, (width - w) // 2, h, w)


def draw_jitter(
    rng: np.random.Generator, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[tuple[str, float], ...]:
    """The four operations of color jitter with their factors, in random order."""
    strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    factors = {name: uniform(rng, max(0.0, 1 - strength), 1 + strength) for name, strength in strengths.items()}
    factors["hue"] = uniform(rng, -hue, hue)
    names = list(factors)
    rng.shuffle(names)
    return tuple((name, factors[name]) for name in names)


def draw_mix(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) color mixing matrix, as `View` defines it; each row sums to 1."""
    amount, noise = rng.random(), rng.standard_normal((3, 3))
    return (1 - amount) * np.eye(3) + amount * (noise - noise.mean(axis=1, keepdims=True) + 1 / 3)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """The same number as `rng.uniform`, in a third of the time."""
    return low + (high - low) * rng.random()


def resized_crop(image: np.ndarray, box: Box, height: int, width: int, mode: str) -> np.ndarray:
    """The box of an (H, W, 3) uint8 image, resized with antialiasing to (height, width, 3).

    mode: "bilinear" or "bicubic".
    """
    # Always a copy: cached images are read-only, and torch warns about those.
    crop = image[box.top : box.top + box.height, box.left : box.left + box.width].copy()
    # With a batch dimension torch sees the strides as channels_last and keeps them: three times as fast.
    pixels = torch.from_numpy(crop)[None].permute(0, 3, 1, 2)
    resized = F.interpolate(pixels, (height, width), mode=mode, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
