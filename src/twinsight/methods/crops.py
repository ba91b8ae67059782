"""Views of several sizes through one network."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn


def each_size(network: nn.Module, views: Sequence[Tensor]) -> Iterator[Tensor]:
    """The network's outputs for (B, 3, h, w) views; consecutive views of one size go in one pass."""
    for _, same in groupby(views, lambda view: view.shape[2:]):
        yield network(torch.cat(list(same)))
