"""Maps on a grid of patches, scored against regions from a pixel mask."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from twinsight.data.samples import VOID
from twinsight.errors import UserError


def class_pixels(mask: Tensor, classes: int, grid: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """(classes, h, w) float64: pixels of each class in each patch; void is ignored.

    mask: (H, W) class indices, 255 = void. grid: (h, w) patches that cover `extent` pixels, the image and perhaps more.
    The pixel scores of a map upsampled by nearest neighbor follow exactly from these counts.
    Raises UserError for a label that is not one of the classes.
    """
    h, w = grid
    index = mask.long().cpu() * (h * w) + patch_of_pixel(grid, extent, (mask.shape[0], mask.shape[1]))
    counts = index.flatten().bincount(minlength=(VOID + 1) * h * w).view(VOID + 1, h, w)
    if counts[classes:VOID].any():
        label = classes + int(counts[classes:VOID].flatten(1).any(1).nonzero()[0])
        raise UserError(
            f"masks: one contains class id {label}, but there are {classes} classes; correct the mask or the classes"
        )
    return counts[:classes].double()


def patch_of_pixel(grid: tuple[int, int], extent: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """(H, W) int64: the patch, of h * w, that contains each pixel; `flat[patch_of_pixel(...)]` upsamples a map."""
    rows, columns = ((torch.arange(side) * n / whole).long() for side, n, whole in zip(size, grid, extent))
    return rows[:, None] * grid[1] + columns


def regions(pixels: Tensor, background: int | None, apart: bool = False) -> Tensor:
    """(C, h, w) pixels by class -> (R, h, w), R >= 0: the foreground as one region; if `apart` or without a background,
    each class that occurs.
    """
    if background is not None:
        things = torch.cat([pixels[:background], pixels[background + 1 :]])
        pixels = things if apart else things.sum(0, keepdim=True)
    return pixels[pixels.sum((1, 2)) > 0]


def jaccard(held: Tensor, wanted: Tensor, labeled: Tensor) -> Tensor:
    """(K, h, w) bool, (R, h, w) pixels of each region, (h, w) labeled pixels -> (K, R): intersection over union."""
    held = held.double()
    common = torch.einsum("khw,rhw->kr", held, wanted)
    return common / (torch.einsum("khw,hw->k", held, labeled)[:, None] + wanted.sum((1, 2)) - common)


def pointing(maps: Tensor, wanted: Tensor, labeled: Tensor) -> Tensor:
    """(K, h, w), (R, h, w), (h, w) -> (K, R): the chance to hit the region with a pixel of the patch of the maximum.

    The pointing game (Zhang et al., 2016) for maps of patches. Several maxima share the chance; void pixels are
    never drawn; NaN if there are no others.
    """
    top = (maps == maps.amax((1, 2), keepdim=True)).double()
    return torch.einsum("khw,rhw->kr", top, wanted) / torch.einsum("khw,hw->k", top, labeled)[:, None]


def levels(maps: Tensor, bins: int) -> Tensor:
    """(K, h, w) -> int64: which of `bins` equal quantiles of its map each patch falls into; ties share one."""
    flat = maps.flatten(1).contiguous()
    ordered = flat.sort(1).values
    twice = torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True)  # twice the middle rank
    return (twice * bins // (2 * flat.shape[1])).clamp(max=bins - 1).view_as(maps)


def level_pixels(maps: Tensor, pixels: Tensor, bins: int) -> Tensor:
    """(K, h, w), (C, h, w) pixels by class -> (K, bins, C): pixels by level of attention (see `levels`) and class."""
    return torch.stack(
        [torch.einsum("khw,chw->kc", (levels(maps, bins) == level).double(), pixels) for level in range(bins)], 1
    )


def information(joint: Tensor) -> Tensor:
    """(K, A, C) counts -> (K,), 0 to 1: mutual information of A and C / entropy of C; NaN for a single class.

    The fraction of the uncertainty about a pixel's class removed by knowing its level of attention (Theil's
    uncertainty coefficient).
    """
    share = joint / joint.sum((1, 2), keepdim=True)
    classes, levels = entropy(share.sum(1)), entropy(share.sum(2))
    gained = (classes + levels - entropy(share.flatten(1))).clamp(min=0)
    return torch.where(classes > 1e-12, gained / classes, torch.nan)


def entropy(share: Tensor) -> Tensor:
    return torch.special.entr(share).sum(-1)


def shuffled(maps: Tensor, seed: int) -> Tensor:
    """(K, h, w) -> the values of each map shuffled on their own."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(maps.flatten(1).shape, generator=generator).argsort(1)
    return maps.flatten(1).gather(1, order).view_as(maps)


def center_prior(grid: tuple[int, int], extent: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """(1, h, w): a Gaussian at the image's center, its standard deviation a quarter of each side."""
    along = [
        torch.exp(-8 * ((torch.arange(n, dtype=torch.float64) + 0.5) * whole / n / side - 0.5) ** 2)
        for n, whole, side in zip(grid, extent, size)
    ]
    return torch.outer(*along)[None]


def means(each: Sequence[Tensor]) -> Tensor:
    """Means over images, ignoring those with nothing to measure (NaN)."""
    return torch.stack(list(each)).nanmean(0)


def mean(values: Tensor) -> float:
    return values.double().nanmean().item() if len(values) else math.nan
