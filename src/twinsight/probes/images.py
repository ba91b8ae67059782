"""Conversion of images for probes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def to_tensor(image: np.ndarray, size: int | None = None) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8, shrunk so that the shorter side is at most `size` pixels."""
    height, width = image.shape[:2]
    if size is not None and min(height, width) > size:
        scale = size / min(height, width)
        image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def mask_to_tensor(mask: np.ndarray, image: Tensor) -> Tensor:
    """(H, W) class indices -> (h, w) as the image (3, h, w), each pixel the nearest one's."""
    _, height, width = image.shape
    return torch.from_numpy(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))


def pixels(image: Tensor) -> np.ndarray:
    """(3, H, W), uint8 or float in [0, 1] -> (H, W, 3) uint8, to draw."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return image.permute(1, 2, 0).cpu().numpy()


def batches(images: Iterable[Tensor], device: torch.device, size: int = 16) -> Iterator[Tensor]:
    """(B, 3, H, W) batches of at most `size` on the device, in order; consecutive images of one size share one."""
    for _, group in groupby(images, lambda image: (image.shape, image.dtype)):
        while alike := list(islice(group, size)):
            yield torch.stack(alike).to(device)


def common_crop(images: Sequence[Tensor]) -> Tensor:
    """(B, 3, h, w): the images, cut at their centers to the largest size that all of them have."""
    height = min(image.shape[1] for image in images)
    width = min(image.shape[2] for image in images)
    tops = [(image.shape[1] - height) // 2 for image in images]
    lefts = [(image.shape[2] - width) // 2 for image in images]
    return torch.stack([i[:, t : t + height, le : le + width] for i, t, le in zip(images, tops, lefts)])


def over_image(maps: Tensor, extent: tuple[int, int], size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """Maps (..., h, w) that cover `extent` pixels -> (..., H, W), resized and cut to the image's `size`."""
    flat = maps.reshape(1, -1, *maps.shape[-2:]).float()
    corners = None if mode == "nearest" else False
    large = F.interpolate(flat, extent, mode=mode, align_corners=corners)[..., : size[0], : size[1]]
    return large.reshape(*maps.shape[:-2], *size)
