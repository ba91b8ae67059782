"""Estimates the operations and memory of a training step before the first one."""

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import finalize

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from twinsight.training.exact import in_parts


class Cost(NamedTuple):
    """The cost of a training step.

    parameters, trainable: counts. flops: of forward and backward, per image. fixed: bytes of weights, gradients,
    optimizer state and anything else independent of the batch size; per_image: peak bytes per image of the batch.
    """

    parameters: int
    trainable: int
    flops: float
    fixed: int
    per_image: int

    def memory(self, batch: int) -> int:
        return self.fixed + batch * self.per_image


OVERHEAD = 1.33
"""Real memory per byte of tensors: kernels need workspace, and allocations leave gaps. In eight trainings on a CPU,
ResNets and ViTs of 350 MB to 1.8 GB, real peaks were 1.22 to 1.35 times the size of the tensors."""

Loss = Callable[[Any, int], Tensor]
"""(model, batch size) -> loss; creates its own inputs."""


def cost(
    model: nn.Module, loss: Loss, optimizer_slots: int = 2, parts: int = 1, autocast: torch.dtype | None = None
) -> Cost:
    """Trace the loss on a few images; arguments as for `tensor_bytes`. Memory is per image of a part."""
    small, large = (step_memory(model, loss, batch, optimizer_slots, parts, autocast) for batch in (8, 16))
    per_image = (large - small) // 8
    few = min(parts, 2)
    with imagined(model, autocast) as shadow, FlopCounterMode(display=False) as counter:
        with in_parts(shadow, few):
            value = loss(shadow, 2 * few)
        value.backward()
    flops = counter.get_total_flops() / (2 * few)
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return Cost(sum(p.numel() for p in parameters), trainable, flops, small - 8 * per_image, per_image)


def step_memory(
    model: nn.Module, loss: Loss, batch: int, optimizer_slots: int = 2, parts: int = 1,
    autocast: torch.dtype | None = None,
) -> int:  # fmt: skip
    """Peak bytes of a training step; arguments as for `tensor_bytes`."""
    return round(OVERHEAD * tensor_bytes(model, loss, batch, optimizer_slots, parts, autocast))


def tensor_bytes(
    model: nn.Module, loss: Loss, batch: int, optimizer_slots: int = 2, parts: int = 1,
    autocast: torch.dtype | None = None,
) -> int:  # fmt: skip
    """Peak bytes of all tensors in a step.

    optimizer_slots: values that the optimizer keeps per parameter (2 for Adam, 1 for momentum).
    parts: how many parts of `batch` images form a batch, see `in_parts`. autocast: the dtype of mixed precision.
    """
    with imagined(model, autocast) as shadow:
        peak = peak_bytes(shadow, loss, batch, min(parts, 2))
        if parts > 2:  # each further part adds the same amount, for its images
            peak += (peak_bytes(shadow, loss, batch, 4) - peak) * (parts - 2) // 2
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    return weights + 4 * optimizer_slots * sum(p.numel() for p in model.parameters() if p.requires_grad) + peak


def inference_memory(
    model: nn.Module, predict: Callable[[Any], Any], optimizer_slots: int = 2, autocast: torch.dtype | None = None
) -> int:
    """Peak bytes of a validation, including the training's gradients and optimizer state.

    predict: called with a model; creates its own images.
    """
    weights = [*model.parameters(), *model.buffers()]
    with imagined(model, autocast) as shadow, torch.no_grad():
        known = {t.untyped_storage()._cdata for t in (*shadow.parameters(), *shadow.buffers())}
        with LiveBytes(known) as live:
            predict(shadow.eval())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    held = sum(t.numel() * t.element_size() for t in weights) + 4 * (optimizer_slots + 1) * trained
    return round(OVERHEAD * (held + live.peak))


@contextmanager
def imagined(model: nn.Module, autocast: torch.dtype | None = None) -> Generator[Any]:
    """A copy of the model on fake tensors, which compute only shapes, as do all tensors created inside."""
    with FakeTensorMode() as mode, torch.autocast("cpu", autocast, enabled=autocast is not None):
        yield copy.deepcopy(model, {id(t): mode.from_tensor(t) for t in (*model.parameters(), *model.buffers())})


def peak_bytes(model: nn.Module, loss: Loss, batch: int, parts: int = 1) -> int:
    """Peak bytes of live tensors in a forward and backward, including the gradients of the previous update.

    Weights and kernels' workspace are not counted.
    """
    weights = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    with LiveBytes(weights) as live:
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
        with in_parts(model, parts):
            value = loss(model, batch * parts)
        model.zero_grad()
        value.backward()
    model.zero_grad()
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of live tensors created inside, each storage once; `peak` is the maximum.

    known: storages, by `_cdata`, to ignore.
    """

    def __init__(self, known: set[int]):
        super().__init__()
        self.known = set(known)
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.add(tensor.untyped_storage())
        return result

    def add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            finalize(storage, self.remove, key, size)

    def remove(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def fits(needed: float, free: float) -> bool:
    """Whether `needed` bytes leave a tenth of the free memory unused."""
    return needed <= 0.9 * free


def largest_batch(each: Cost, most: int, free: float) -> int:
    """The largest batch size, a power of two from 2 to `most`, that fits in `free` bytes; 2 if none does."""
    batch = 2
    while batch * 2 <= most and fits(each.memory(batch * 2), free):
        batch *= 2
    return batch
