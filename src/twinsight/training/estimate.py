"""What a training step costs, before the first one: operations and memory."""

import copy
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode


class Cost(NamedTuple):
    """Of a training step.

    parameters, trainable: counts. flops: of forward and backward, an image. fixed: bytes of weights,
    gradients and optimizer; per_image: bytes that the forward keeps for the backward, an image of the batch.
    """

    parameters: int
    trainable: int
    flops: float
    fixed: int
    per_image: int

    def memory(self, batch: int) -> int:
        return self.fixed + batch * self.per_image


def cost(model: nn.Module, loss: Callable[[Any, int], Tensor], optimizer_slots: int = 2) -> Cost:
    """Follow `loss(model, batch size)`, which makes its own inputs, at 2 and 4 images: shapes alone, without numbers.

    optimizer_slots: numbers that the optimizer keeps a parameter (2 for Adam, 1 for momentum).
    """
    with FakeTensorMode() as mode:
        shapes = {id(t): mode.from_tensor(t) for t in (*model.parameters(), *model.buffers())}
        shadow = copy.deepcopy(model, shapes)
        kept = [saved_bytes(shadow, loss, batch) for batch in (2, 4)]
        with FlopCounterMode(display=False) as counter:
            loss(shadow, 2).backward()
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    per_image = max(0, kept[1] - kept[0]) // 2
    fixed = sum(p.numel() * p.element_size() for p in parameters) + 4 * trainable * (1 + optimizer_slots)
    fixed += max(0, kept[0] - 2 * per_image)
    return Cost(sum(p.numel() for p in parameters), trainable, counter.get_total_flops() / 2, fixed, per_image)


def saved_bytes(model: nn.Module, loss: Callable[[Any, int], Tensor], batch: int) -> int:
    """Bytes that autograd keeps for the backward, each storage once, the weights themselves not counted."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    held: dict[int, torch.UntypedStorage] = {}  # by address, and held so that no address comes twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            held[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(model, batch)
    return sum(storage.nbytes() for storage in held.values())


def largest_batch(each: Cost, most: int, share: float = 0.8) -> int:
    """The largest power of two, from 2 to `most`, whose memory fits in this share of what is free."""
    free = share * available_memory()
    batch = 2
    while batch * 2 <= most and each.memory(batch * 2) <= free:
        batch *= 2
    return batch


def available_memory() -> int:
    """Free bytes: of the GPU where there is one, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
