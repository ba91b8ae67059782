"""Masks made of rectangles of patches, as in iBOT and DINOv2."""

import math

import torch
from torch import Tensor

ATTEMPTS = 40
"""Rectangles that are tried for each image."""


def block_counts(images: int, patches: int, share: float, ratio: tuple[float, float]) -> list[int]:
    """How many patches to mask in each image of a batch: in `share` of them from ratio[0] to ratio[1], evenly spaced.

    DINOv2's code draws each from an equal part of that range; here it is the middle of its part, so that the number of
    masked patches of a batch is always the same.
    """
    masked = round(images * share)
    ratios = [ratio[0] + (ratio[1] - ratio[0]) * (i + 0.5) / masked for i in range(masked)]
    return [max(1, round(patches * each)) for each in ratios] + [0] * (images - masked)


def block_masks(counts: list[int], grid: tuple[int, int], device: torch.device, least: int = 4) -> Tensor:
    """(B, h * w), true for masked patches: each image, in random order, has one of the counts.

    Rectangles of at least `least` patches, with a logarithmically uniform aspect ratio from 0.3 to 1 / 0.3, are drawn
    at random places (Bao et al., 2022) and kept if they do not exceed what is left of the count; what then is missing
    is filled at random, as in DINOv3. Drawn without waiting for the device.
    """
    rows, columns = grid
    wanted = torch.tensor(counts, device=device)[torch.randperm(len(counts), device=device)]
    mask = torch.zeros(len(counts), rows, columns, dtype=torch.bool, device=device)
    y, x = torch.arange(rows, device=device)[:, None], torch.arange(columns, device=device)
    for areas, aspects, tops, lefts in torch.rand(ATTEMPTS, 4, len(counts), device=device):
        left = wanted - mask.sum((1, 2))
        area = least + areas * (left - least)
        aspect = torch.exp((2 * aspects - 1) * math.log(1 / 0.3))
        height, width = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        top, start = (tops * (rows - height + 1)).floor(), (lefts * (columns - width + 1)).floor()
        top, start, height, width = (each[:, None, None] for each in (top, start, height, width))
        block = (y >= top) & (y < top + height) & (x >= start) & (x < start + width)
        added = (block & ~mask).sum((1, 2))
        fits = (height < rows) & (width < columns) & ((added > 0) & (added <= left))[:, None, None]
        mask = mask | (block & fits)
    order = (mask.flatten(1) + torch.rand(len(counts), rows * columns, device=device)).argsort(1, descending=True)
    return order.argsort(1) < wanted[:, None]
