"""Classes by the vote of the nearest labeled vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 1024
"""Queries whose similarities to the memory are computed at a time."""


class Memory(NamedTuple):
    """Labeled vectors: (M, D) float32 of length 1, (M,) int64 classes."""

    vectors: Tensor
    labels: Tensor


def votes(queries: Tensor, memory: Memory, classes: int, ks: Sequence[int], temperature: float = 0.07) -> Tensor:
    """(N, D) of length 1 -> (len(ks), N) int64 on the CPU: the class that the k nearest in memory vote for, for each k.

    Cosine similarity; a neighbor's vote weighs exp(similarity / temperature) (Wu et al., 2018; DINO). A k larger than
    the memory uses all of it.
    """
    found: list[Tensor] = []
    labels = memory.labels.cpu()
    for chunk in queries.split(CHUNK):
        nearest, index = (chunk @ memory.vectors.T).topk(min(max(ks), len(labels)))
        found.append(tally(nearest.cpu(), labels[index.cpu()], classes, ks, temperature))
    return torch.cat(found, 1)


def vote(queries: Tensor, memory: Memory, classes: int, k: int, temperature: float = 0.07) -> Tensor:
    """(N,): as `votes`, for one k."""
    return votes(queries, memory, classes, (k,), temperature)[0]


def tally(nearest: Tensor, labels: Tensor, classes: int, ks: Sequence[int], temperature: float) -> Tensor:
    """(N, K) similarities, the greatest first, and their labels -> (len(ks), N): the class with the most votes."""
    weights, none = (nearest / temperature).exp(), torch.zeros(len(nearest), classes)
    return torch.stack([none.scatter_add(1, labels[:, :k], weights[:, :k]).argmax(1) for k in ks])
