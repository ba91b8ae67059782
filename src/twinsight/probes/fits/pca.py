"""Principal axes."""

from collections.abc import Iterable

import torch
from torch import Tensor


def principal_axes(vectors: Iterable[Tensor], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Chunks of vectors, (n, D) each -> their mean (D), first principal axes (D, count) and shares of variance (count).

    Exact, in float64. An axis's largest entry is positive. Shares are NaN if nothing varies.
    """
    chunks = list(vectors)
    total = sum(len(x) for x in chunks)
    mean = torch.stack([x.double().sum(0) for x in chunks]).sum(0) / total
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for x in chunks:
        centered = x.double() - mean
        covariance += centered.T @ centered
    variances, axes = torch.linalg.eigh(covariance)
    axes = axes[:, -count:].flip(1)
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return mean, axes * signs, variances[-count:].flip(0).clamp(min=0) / covariance.trace()


def project(vectors: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """(N, D) -> (N, count) float64."""
    return (vectors.double() - mean) @ axes
