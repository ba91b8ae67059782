"""Sends batches from workers through pipes where shared memory is too small, as in many containers."""

import shutil
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

SHARED = "/dev/shm"


class Piped:
    """Collates to arrays, which are pickled through the worker's pipe; tensors would go through shared memory."""

    def __init__(self, collate: Callable[[Any], Any]):
        self.collate = collate

    def __call__(self, samples: list[Any]) -> Any:
        return tree_map_only(Tensor, Tensor.numpy, self.collate(samples))


def unpiped(batch: Any) -> Any:
    """The batch with tensors again, images channels_last in memory."""

    def tensor(array: np.ndarray) -> Tensor:
        found = torch.from_numpy(array)
        return found.contiguous(memory_format=torch.channels_last) if found.ndim == 4 else found

    return tree_map_only(np.ndarray, tensor, batch)


def spare_shared_memory(loader: Any, processes: int = 1) -> str | None:
    """Use pipes if the prefetched batches do not fit in shared memory, where PyTorch would hang.

    processes: how many loaders like this one share the memory. Returns a sentence for the user, or None.
    """
    one = loader.collate_fn([loader.dataset[(0, 0)]]) if loader.num_workers else None
    batch = loader.batch_size * sum(leaf.nbytes for leaf in tree_leaves(one) if isinstance(leaf, Tensor))
    needed = processes * loader.num_workers * (loader.prefetch_factor or 0) * batch
    if needed <= 0.9 * room():
        return None
    loader.collate_fn = Piped(loader.collate_fn)
    return (
        f"{SHARED}: {room() / 1e6:.0f} MB are free, but prefetched batches take up to {needed / 1e6:.0f} MB; "
        "using pipes, which are slower (give a container more with docker's --shm-size)"
    )


def room() -> float:
    """Free bytes of shared memory; unlimited outside Linux."""
    try:
        return shutil.disk_usage(SHARED).free
    except OSError:
        return inf
