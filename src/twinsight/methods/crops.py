"""Views of several sizes through one network."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn


def each_size(network: nn.Module, views: Sequence[Tensor]) -> Iterator[Tensor]:
    """The network's outputs for (B, 3, h, w) views; consecutive views of one size go in one pass."""
    for _, same in groupby(views, lambda view: view.shape[2:]):
        yield network(torch.cat(list(same)))


def cross_entropy(teacher: Sequence[Tensor], log_student: Sequence[Tensor]) -> Tensor:
    """The mean of H(t, s) = -sum t log s over images and pairs of different views.

    teacher: (B, K) probabilities per large view; log_student: (B, K) log-probabilities per view, in the same order.
    """
    terms = [-(t * s).sum(1).mean() for i, t in enumerate(teacher) for j, s in enumerate(log_student) if i != j]
    return torch.stack(terms).mean()
