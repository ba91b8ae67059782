"""The first layer's filters as images."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import Plot
from twinsight.probes.finding import Finding
from twinsight.probes.grids import image_grid
from twinsight.probes.probe import Subject

NOISE = math.pi / 16
"""Fraction of white noise's energy in low frequencies."""

LEARNED = 0.25
"""Below this fraction, filters hardly differ from noise."""


class Filters:
    """The first convolution's or the patch embedding's weights on RGB.

    count: filters to draw, those with the largest norm, 1 or more.

    Numbers:
    count: number of filters.
    dead: fraction of filters with a norm below 1 % of the median.
    redundancy: mean |cosine| between two filters, 0 to 1; NaN for a single filter. For random filters of n weights
    about sqrt(2 / (pi n)).
    low_frequency: fraction of the filters' spectral energy below half the Nyquist frequency (0.25 cycles per pixel, in
    any direction), 0 to 1. White noise has pi / 16 = 0.196; learned filters are smoother.

    Needs no images. Raises UserError for a network whose first layer does not read RGB.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["filters"]

    def __init__(self, count: int = 64):
        if count < 1:
            raise UserError(f"--count {count}: is too few; give 1 or more")
        self.count = count

    def __call__(
        self, model: nn.Module, images: Sequence[Tensor] = (), masks: Sequence[Tensor] | None = None
    ) -> Finding:
        weights = first_filters(model)
        norms = weights.flatten(1).norm(dim=1)
        numbers = {
            "count": float(len(weights)),
            "dead": (norms < 0.01 * norms.median()).float().mean().item(),
            "redundancy": redundancy(weights),
            "low_frequency": low_frequency(weights),
        }
        largest = weights[norms.argsort(descending=True, stable=True)[: self.count]]
        smoothness = torch.tensor([low_frequency(one[None]) for one in largest]).nan_to_num()
        ordered = largest[smoothness.argsort(descending=True, stable=True)]
        low = numbers["low_frequency"]
        title = f"{len(ordered)} of {len(weights)} filters\n"
        title += f"low frequencies: {low:.0%} of the energy (white noise: {NOISE:.0%})"
        title += "\nhardly different from noise" * (low < LEARNED)
        return Finding(
            {"filters": mosaic(ordered.numpy(), title)}, numbers, {"filters": weights.numpy()}, names=self.caption.names
        )


def first_filters(model: nn.Module) -> Tensor:
    """(N, 3, h, w) float32 weights on RGB, on the CPU."""
    stem = next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if stem is not None:
        weights = stem.weight.detach().float().cpu()
        if weights.ndim == 4 and weights.shape[1] == 3:
            return weights
        side = math.isqrt(weights.shape[1] // 3)
        if weights.ndim == 2 and weights.shape[1] == 3 * side * side:
            return weights.unflatten(1, (side, side, 3)).permute(0, 3, 1, 2)  # vit-pytorch's "(p1 p2 c)"
    name = getattr(model, "name", type(model).__name__)
    raise UserError(f"--backbone {name}: its first layer has no weights on RGB; look at erf instead")


def redundancy(weights: Tensor) -> float:
    """Mean |cosine| between distinct filters; all-zero filters are left out."""
    flat = weights.flatten(1).double()
    unit = F.normalize(flat[flat.any(dim=1)])
    pairs = len(unit) * (len(unit) - 1)
    return ((unit @ unit.T).abs().sum().item() - len(unit)) / pairs if pairs else math.nan


def low_frequency(weights: Tensor) -> float:
    """Fraction of the spectral energy below 0.25 cycles per pixel; NaN if all weights are 0."""
    size = max(64, *weights.shape[2:])  # padded with zeros: a 3x3 filter's own spectrum has only three steps
    energy = torch.fft.fft2(weights.double(), s=(size, size)).abs().square().sum((0, 1))
    frequency = torch.fft.fftfreq(size, dtype=torch.float64)
    low = torch.hypot(frequency[:, None], frequency) < 0.25
    total = energy.sum().item()
    return energy[low].sum().item() / total if total > 0 else math.nan


def mosaic(filters: np.ndarray, title: str = "") -> Plot:
    """(N, 3, h, w) side by side, each around mid-gray, in the 8 to 12 columns that leave the fewest gaps."""
    count, _, height, width = filters.shape
    columns = min(count, min(range(8, 13), key=lambda n: (-count % n, -n)))
    factor, gap = -(-64 // max(height, width)), 4
    cell = np.full((-(-count // columns) * columns, height * factor + gap, width * factor + gap, 3), 30, np.uint8)
    greatest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    shades = 127.5 + 127.5 * filters / np.where(greatest > 0, greatest, 1)
    large = shades.round().astype(np.uint8).transpose(0, 2, 3, 1).repeat(factor, axis=1).repeat(factor, axis=2)
    cell[:count, :-gap, :-gap] = large
    rows = cell.reshape(-1, columns, *cell.shape[1:]).swapaxes(1, 2)
    canvas = rows.reshape(rows.shape[0] * rows.shape[1], -1, 3)[:-gap, :-gap]
    return image_grid([[canvas]], [title] if title else (), side=0.5 * columns)
