"""Shared by the decoders: choice of levels, resizing, convolution and pooling blocks."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.errors import UserError


def index_levels(levels: tuple[int, ...], count: int, option: str = "--head.levels") -> tuple[int, ...]:
    """Ascending, non-negative indices into a backbone's `count` levels; negative ones count from the deepest.

    Raises UserError, which names `option`, if a level does not exist or none is given.
    """
    if not levels:
        raise UserError(f"{option}: none given; give some of 0 to {count - 1}, or -1 for the deepest")
    for level in levels:
        if not -count <= level < count:
            raise UserError(
                f"{option} {level}: the backbone has {count} levels; give 0 to {count - 1}, or -1 for the deepest"
            )
    return tuple(sorted({level % count for level in levels}))


def spread_levels(strides: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`count` ascending levels: the last ones of a pyramid, or evenly spaced blocks if all strides are equal.

    For a ViT of 12 blocks and `count` 4, (2, 5, 8, 11): blocks 3, 6, 9 and 12. Fewer if the backbone has fewer.
    """
    depth = len(strides)
    count = min(count, depth)
    if len(set(strides)) > 1:
        return tuple(range(depth - count, depth))
    return tuple(round(depth * (k + 1) / count) - 1 for k in range(count))


def doublings(stride: int) -> int:
    """How often SETR-PUP doubles a map of this stride: to full size, but at least once and at most 4 times."""
    return min(4, max(1, round(math.log2(stride))))


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), bilinear, `align_corners=False`."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def finest_size(maps: list[Tensor]) -> tuple[int, int]:
    """(h, w) of the largest map."""
    return max((m.shape[-2], m.shape[-1]) for m in maps)


def conv_bn_relu(dim: int, channels: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(dim, channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


class Pooled(nn.Sequential):
    """A map averaged to size x size, 1x1 convolution, batch norm, ReLU, resized to what it was.

    head: named in the UserError for training with size 1 on a batch of 1, which leaves no variance to normalize by.
    """

    def __init__(self, dim: int, channels: int, size: int, head: str):
        super().__init__(nn.AdaptiveAvgPool2d(size), *conv_bn_relu(dim, channels, 1))
        self.size = size
        self.head = head

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == self.size == 1:
            raise UserError(
                f"--batch-size 1: the batch norm of {self.head}'s pooled branch requires at least 2 images per device; "
                "give a larger --batch-size or another --head"
            )
        return resize(super().forward(input), (input.shape[-2], input.shape[-1]))
