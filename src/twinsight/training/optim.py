"""Optimizers, their parameter groups and the schedule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from twinsight.layers import cosine
from twinsight.training.lars import Lars


@dataclass(frozen=True)
class Optimization:
    """How weights are updated; see the options of the same names.

    lr, bias_lr: peak learning rates of weights, and of biases and norms; bias_lr None: the same.
    weight_decay: of weights; two numbers: from the first to the second over the run, on a cosine.
    momentum: AdamW's first beta. layer_decay: factor of the learning rate per layer below the deepest.
    warmup: fraction of the run, 0 to 1, over which the rates rise linearly; then they follow a cosine.
    final_lr: fraction of the peak at the end of the cosine.
    fused: a single kernel for AdamW's update; Lightning cannot clip gradients with it in mixed precision.
    """

    name: Literal["adamw", "lars", "sgd"] = "adamw"
    lr: float = 5e-4
    bias_lr: float | None = None
    weight_decay: float | tuple[float, float] = 0.05
    momentum: float = 0.9
    layer_decay: float = 1.0
    warmup: float = 0.1
    final_lr: float = 0.001
    fused: bool = True

    def groups(
        self, module: nn.Module, depth: Mapping[str, int] | None = None, lr: float | None = None
    ) -> list[dict[str, Any]]:
        """Parameter groups of a module: weights decay; biases, norms, tokens and position embeddings do not.

        depth: layer of each parameter by name; layer d has layer_decay ** (deepest - d) times the rate.
        lr: peak rate instead of the usual one.
        """
        peak = self.lr if lr is None else lr
        depth = depth or {}
        deepest = max(depth.values(), default=0)
        exempt = undecayed(module)
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            decays = parameter.ndim > 1 and name not in exempt
            rate = peak if decays or self.bias_lr is None else self.bias_lr
            rate *= self.layer_decay ** (deepest - depth.get(name, deepest))
            groups.setdefault((rate, decays), []).append(parameter)
        return [
            {"params": parameters, "lr": rate, "weight_decay": decays * self.decay(0, 1), "adapt": decays}
            for (rate, decays), parameters in groups.items()
        ]

    def optimizer(self, groups: Iterable[dict[str, Any]]) -> Optimizer:
        """The optimizer for the `groups` of one or more modules."""
        groups = list(groups)
        if self.name == "lars":
            return Lars(groups, lr=self.lr, momentum=self.momentum)
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum)
        return torch.optim.AdamW(groups, lr=self.lr, betas=(self.momentum, 0.999), fused=self.fused)

    def scheduler(self, optimizer: Optimizer, steps: int) -> LambdaLR:
        """Schedules learning rates, and the weight decay of groups that decay, over a run of `steps` updates."""
        return Schedule(optimizer, self, steps)

    def factor(self, step: int, steps: int) -> float:
        """Fraction of the peak rate at an update; the first update is 0."""
        warmup = self.warmup * steps
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return cosine(1.0, self.final_lr, (step - warmup) / max(1, steps - warmup))

    def decay(self, step: int, steps: int) -> float:
        """Weight decay at an update; the first update is 0."""
        first, last = self.weight_decay if isinstance(self.weight_decay, tuple) else (self.weight_decay,) * 2
        return cosine(first, last, step / max(1, steps))


class Schedule(LambdaLR):
    """Also schedules weight decay, unlike torch's schedulers."""

    def __init__(self, optimizer: Optimizer, optimization: Optimization, steps: int):
        def factor(step: int) -> float:
            return optimization.factor(step, steps)

        def decay(step: int) -> float:
            return optimization.decay(step, steps)

        self.decay = decay
        super().__init__(optimizer, factor)

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        for group in self.optimizer.param_groups:
            if group["adapt"]:
                group["weight_decay"] = self.decay(self.last_epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Apply this schedule's rates at once instead of the optimizer's saved ones."""
        super().load_state_dict(state_dict)
        factors = [factor(self.last_epoch) for factor in self.lr_lambdas]
        self._last_lr = [base * factor for base, factor in zip(self.base_lrs, factors)]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr):
            group["lr"] = rate
            if group["adapt"]:
                group["weight_decay"] = self.decay(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Without the schedule itself, which differs when a run is resumed with more epochs."""
        return {key: value for key, value in super().state_dict().items() if key != "decay"}


def peak_rate(module: pl.LightningModule) -> Tensor:
    """The largest current learning rate of all parameter groups; created on the device, since a copy would block."""
    rate = max(group["lr"] for group in module.trainer.optimizers[0].param_groups)
    return torch.full((), rate, device=module.device)


def undecayed(module: nn.Module) -> set[str]:
    """Names of weights that timm exempts from decay (position embeddings, tokens)."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, child in module.named_modules()
        if hasattr(child, "no_weight_decay")
        for name in child.no_weight_decay()  # type: ignore[operator] (a method, as timm has it)
    }
