"""What a training step costs, before the first one: operations and memory."""

import os
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
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


def cost(model: nn.Module, loss: Callable[[int], Tensor], optimizer_slots: int = 2) -> Cost:
    """Run `loss(batch size)` forward at 2 and 4 images, and backward once.

    optimizer_slots: numbers that the optimizer keeps a parameter (2 for Adam, 1 for momentum). The weights'
    gradients are cleared; batch-norm statistics and the random state are put back.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng():
        kept = [saved_bytes(model, loss, batch) for batch in (2, 4)]
        with FlopCounterMode(display=False) as counter:
            loss(2).backward()
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    per_image = max(0, kept[1] - kept[0]) // 2
    fixed = sum(p.numel() * p.element_size() for p in parameters) + 4 * trainable * (1 + optimizer_slots)
    fixed += max(0, kept[0] - 2 * per_image)
    return Cost(
        sum(p.numel() for p in parameters), trainable, counter.get_total_flops() / 2, fixed, per_image
    )


def saved_bytes(model: nn.Module, loss: Callable[[int], Tensor], batch: int) -> int:
    """Bytes that autograd keeps for the backward, each storage once, the weights themselves not counted."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(batch)
    del value
    return sum(held.values())


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
