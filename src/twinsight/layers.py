"""Small building blocks shared by methods, heads and training."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[override] (torch declares (*args))
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # type: ignore[override] (as above)
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient


def mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of a tensor over all processes, with the gradient of that mean.

    Every rank computes the same loss from it; its backward sums the ranks' gradients, which DDP then averages:
    the result is the gradient of one process with the global batch. With a single process, the tensor itself.
    """
    if world_size() == 1:
        return x
    total: Any = _SumOverRanks.apply(x)
    return total / world_size()


def gather_over_ranks(x: Tensor) -> Tensor:
    """(B, ...) -> (processes * B, ...), in the order of ranks, with the gradient that `mean_over_ranks` has."""
    if world_size() == 1:
        return x
    batches = x.new_zeros(world_size(), *x.shape)
    batches[rank()] = x
    gathered: Any = _SumOverRanks.apply(batches)
    return gathered.flatten(0, 1)


@torch.no_grad()
def logsumexp_over_ranks(x: Tensor) -> Tensor:
    """(B, D) -> (D,): the logarithm of the sum of exp(x) over the global batch, without a gradient."""
    sums = x.logsumexp(0)
    if world_size() == 1:
        return sums
    gathered = [torch.empty_like(sums) for _ in range(world_size())]
    dist.all_gather(gathered, sums)
    return torch.stack(gathered).logsumexp(0)


@torch.no_grad()
def gather(x: Tensor) -> Tensor:
    """(B, ...) -> (world size * B, ...): the tensors of all processes in the order of rank, without a gradient."""
    if world_size() == 1:
        return x.detach()
    gathered = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(gathered, x.contiguous())
    return torch.cat(gathered)


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Disables autocast; the meta device, which computes only shapes, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def shapes_only(x: Tensor) -> bool:
    """Whether a tensor has no values, as in an estimate of memory."""
    return x.is_meta or isinstance(x, FakeTensor)


def at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def standardize(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(B, D) -> (B, D): each feature with mean 0 and variance 1 over the global batch."""
    x = at_least_float32(x)
    centered = x - mean_over_ranks(x.mean(0))
    return centered * torch.rsqrt(mean_over_ranks(centered.square().mean(0)) + eps)


class GlobalBatchNorm1d(nn.BatchNorm1d):
    """Batch norm of (B, D) over all processes, on any device (torch's SyncBatchNorm needs a GPU)."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        input = at_least_float32(input)
        mean = mean_over_ranks(input.mean(0))
        centered = input - mean
        variance = mean_over_ranks(centered.square().mean(0))
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            count = len(input) * world_size()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        normed = centered * torch.rsqrt(variance + self.eps)
        return normed * self.weight + self.bias if self.affine else normed


def mlp(widths: Sequence[int], norm_last: bool = False, bias_last: bool = False) -> nn.Sequential:
    """Linear layers without bias, of the given widths; batch norm and ReLU between them.

    norm_last: ends with a batch norm that has neither weights nor biases. bias_last: the last layer has a bias.
    """
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        last = i == len(widths) - 2
        layers.append(nn.Linear(before, after, bias=last and bias_last))
        if not last:
            layers += [GlobalBatchNorm1d(after), nn.ReLU(inplace=True)]
    if norm_last:
        layers.append(GlobalBatchNorm1d(widths[-1], affine=False))
    return nn.Sequential(*layers)


def each_view(layers: nn.Sequential, views: Sequence[Tensor]) -> Sequence[Tensor]:
    """Apply the layers to several (B, D) batches.

    Batch norm uses each batch's own statistics; the other layers take all batches at once, so that the weights of a
    wide projector and their gradients are read from memory only once.
    """
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            views = [layer(view) for view in views]
        else:
            views = layer(torch.cat(list(views))).chunk(len(views))
    return views


def cosine(start: float, end: float, progress: float) -> float:
    """From `start` to `end` along half a cosine, while progress goes from 0 to 1; `end` from there on."""
    progress = min(progress, 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@torch.no_grad()
def ema(average: nn.Module, current: nn.Module, momentum: float) -> None:
    """Set each parameter of `average` to momentum * average + (1 - momentum) * current."""
    for mean, value in zip(average.parameters(), current.parameters(), strict=True):
        mean.lerp_(value, 1 - momentum)
