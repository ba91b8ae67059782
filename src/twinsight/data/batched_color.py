"""The operations of `color` on batches, on any device, each image with its own parameters.

Each takes (n, 3, h, w) float32 images of whole numbers in [0, 255] and returns new ones, rounded and clipped as in
`color`; parameters are tensors on the images' device, one entry per image. Matrix products and convolutions are written
out: on a GPU they might use TF32, whose three digits are too few.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby, zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinsight.data.color import LUMA
from twinsight.data.views import MultiView, Params

AT_ONCE = 2**24
"""Pixels processed at once, in 1 to 2 GB: float32 copies of a large batch would fill the memory."""


def recolor_views(views: Sequence[Tensor], params: Sequence[Sequence[Params]], transform: MultiView) -> list[Tensor]:
    """`recolor` for each view of a batch; params: a list per image, drawn by `transform`."""
    done: list[Tensor] = []
    # Views of one shape together, so that the host queues less work: two batches, not ten, for DINO's views.
    pipelines = zip(views, transform.views, zip(*params), strict=True)
    for (_, threshold), alike in groupby(pipelines, lambda each: (each[0].shape, each[1].threshold)):
        images, _, drawn = zip(*alike)
        done += recolor(torch.cat(images), list(chain(*drawn)), threshold).chunk(len(images))
    return done


def recolor(images: Tensor, params: Sequence[Params], threshold: int = 128) -> Tensor:
    """`View.color` for each image; threshold: the view's.

    images: (B, 3, h, w) uint8 on any device -> the same, channels_last in memory. params: one per image. Nothing is
    read back from the device: the host only queues work.
    """
    count = max(1, AT_ONCE // images[:1, 0].numel())
    colored = torch.empty_like(images, memory_format=torch.channels_last)
    for start in range(0, len(images), count):
        part = slice(start, start + count)
        floats = images[part].to(torch.float32, memory_format=torch.contiguous_format)
        color(floats, params[part], threshold)
        colored[part] = floats
    return colored


def color(images: Tensor, params: Sequence[Params], threshold: int) -> None:
    """All operations on float images, in place."""
    for place in zip_longest(*(p.jitter for p in params), fillvalue=("", 0.0)):
        for name, operation in JITTER.items():
            change(images, operation, [drawn == name for drawn, _ in place], [x for drawn, x in place if drawn == name])
    change(images, mix, [p.mix is not None for p in params], [p.mix for p in params if p.mix is not None])
    change(images, invert, [p.invert for p in params])
    change(images, grayscale, [p.gray for p in params])
    sigmas = [p.blur for p in params if p.blur is not None]
    blur = partial(gaussian_blur, most=max(sigmas, default=0.0))
    change(images, blur, [p.blur is not None for p in params], sigmas)
    change(images, partial(solarize, threshold=threshold), [p.solarize for p in params])


def change(images: Tensor, operation: Callable[..., Tensor], chosen: Sequence[bool], *values: Sequence[Any]) -> None:
    """Replaces each chosen image by operation(image, value), in place; values: for the chosen images only."""
    if any(chosen):
        index = sent(np.flatnonzero(chosen), images.device)
        parameters = [sent(np.array(of_each, np.float32), images.device) for of_each in values]
        images.index_copy_(0, index, operation(images[index], *parameters))


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """Copies an array to the device without waiting."""
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """factor * image; factor: (n,)."""
    return rounded(images * beside(factor))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the mean gray of the image; factor: (n,)."""
    return rounded(blended(images, luma(images).mean((2, 3), keepdim=True), factor))


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the grayscale image; factor: (n,)."""
    return rounded(blended(images, luma(images), factor))


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Shifts the hue by `shift` turns; shift: (n,)."""
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    from_green = torch.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma)
    sixths = torch.where(value == red, green - blue, from_green) / chroma.clamp(min=1)
    # Each channel is at its maximum within a sixth of a turn from its hue, and at its minimum from two sixths on.
    starts = torch.arange(5, 0, -2, device=images.device)[:, None, None]
    turned = (sixths[:, None] + starts + 6 * beside(shift)) % 6
    return rounded(value[:, None] - chroma[:, None] * torch.minimum(turned, 4 - turned).clamp(0, 1))


def grayscale(images: Tensor) -> Tensor:
    """The luma in all three channels."""
    return rounded(luma(images)).expand_as(images)


def gaussian_blur(images: Tensor, sigma: Tensor, most: float) -> Tensor:
    """Convolves with a Gaussian of `sigma` > 0 pixels, truncated at 3 sigma; the border is mirrored.

    sigma: (n,); most: the largest of them, which the host needs to size the kernel.
    """
    reach = math.ceil(3 * most)
    offsets = torch.arange(-reach, reach + 1, device=images.device)
    taps = torch.exp(-((offsets / sigma[:, None]) ** 2) / 2) * (offsets.abs() <= (3 * sigma[:, None]).ceil())
    taps = taps / taps.sum(1, keepdim=True)
    return rounded(convolved(convolved(images, taps, 3), taps, 2))


def solarize(images: Tensor, threshold: int) -> Tensor:
    """Inverts values at or above `threshold`."""
    return torch.where(images >= threshold, 255 - images, images)


def invert(images: Tensor) -> Tensor:
    """255 - image."""
    return 255 - images


def mix(images: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel x becomes matrix @ x; matrix: (n, 3, 3)."""
    red, green, blue = (images[:, k, None] * matrix[:, :, k, None, None] for k in range(3))
    return rounded(red + green + blue)


JITTER = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
"""The operations of color jitter by name, each called as (images, factor)."""


def luma(images: Tensor) -> Tensor:
    """(n, 1, h, w), unrounded."""
    red, green, blue = (weight * images[:, k, None] for k, weight in enumerate(LUMA.tolist()))
    return red + green + blue


def blended(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    """factor * image + (1 - factor) * other."""
    return others + beside(factor) * (images - others)


def beside(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return values[:, None, None, None]


def rounded(images: Tensor) -> Tensor:
    """Rounded and clipped to 0 to 255, in place."""
    return images.round_().clamp_(0, 255)


def convolved(images: Tensor, taps: Tensor, dim: int) -> Tensor:
    """Along `dim`, each image with its own taps, (n, 2 * reach + 1); the border is mirrored: dcb|abcd|cba."""
    size, reach = images.shape[dim], taps.shape[1] // 2
    last = size - 1
    # F.pad's mirroring requires images larger than the reach.
    places = torch.arange(-reach, size + reach, device=images.device) % max(1, 2 * last)
    padded = images.index_select(dim, torch.minimum(places, 2 * last - places))
    result = torch.zeros_like(images)
    for k, tap in enumerate(taps.unbind(1)):
        result.addcmul_(padded.narrow(dim, k, size), beside(tap))
    return result
