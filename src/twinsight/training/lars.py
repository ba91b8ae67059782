"""LARS, as in the official Barlow Twins code."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Lars(Optimizer):
    """Large Batch Training of Convolutional Networks (You et al., 2017): SGD with momentum, the norm of each
    tensor's update scaled to `trust` times the tensor's.

    Parameter groups may set `lr`, `weight_decay` and `adapt`: whether updates are scaled (False for biases and
    norms).
    """

    # Unlike timm's, which divides by |gradient| + weight_decay * |weight|, an upper bound of the norm of their sum,
    # and does not scale if weight_decay is 0.

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust": trust,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                update = weight.grad.add(weight, alpha=group["weight_decay"])
                if group["adapt"]:
                    update *= trust_ratio(weight, update, group["trust"])
                state = self.state[weight]
                momentum = state.setdefault("momentum_buffer", torch.zeros_like(weight))
                momentum.mul_(group["momentum"]).add_(update)
                weight.sub_(momentum, alpha=group["lr"])
        return loss


def trust_ratio(weight: Tensor, update: Tensor, trust: float) -> Tensor:
    """1 if either norm is 0; stays on the device."""
    norm, length = weight.norm(), update.norm()
    return torch.where((norm > 0) & (length > 0), trust * norm / length, 1.0)
