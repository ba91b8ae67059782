"""A linear classifier on frozen features, fitted to convergence: logistic regression by L-BFGS."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 65_536
"""Rows whose logits are in memory at a time."""

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Regularization strengths that `choose_strength` tries, strongest first."""


class Linear(NamedTuple):
    """mean, scale: (D,), of the features. weight: (D, C), bias: (C,), for features minus their mean, times scale."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, C) logits."""
        weight = self.scale[:, None] * self.weight  # avoids a copy of the features, which may be large
        return torch.addmm(self.bias - self.mean @ weight, features, weight)


def fit(features: Tensor, targets: Tensor, strength: float, start: Linear | None = None, steps: int = 200) -> Linear:
    """Minimize mean cross-entropy + strength / 2 * |weight|^2 over features with mean 0 and standard deviation 1.

    features: (N, D). targets: (N, C), not negative, each row's weight for each class, such as its pixels.
    Standard deviations include batch norm's 1e-5 under the root, as in `heads.linear`: scales of backbones differ by
    orders of magnitude, and constant features drop out. start: initial values. steps: maximum of L-BFGS.
    """
    with torch.enable_grad(), torch.inference_mode(False):
        features = features.clone() if features.is_inference() else features  # autograd rejects inference tensors
        mean, scale = features.mean(0), (features.var(0, correction=0) + 1e-5).rsqrt()
        targets = targets.to(features) / targets.sum()
        shape = (features.shape[1], targets.shape[1])
        first = (features.new_zeros(shape), features.new_zeros(shape[1])) if start is None else start[2:]
        weight, bias = (one.clone().requires_grad_() for one in first)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=steps, tolerance_grad=1e-6, history_size=10, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            found = Linear(mean, scale, weight, bias)
            loss = strength / 2 * weight.square().sum()
            loss.backward()
            for x, target in zip(features.split(CHUNK), targets.split(CHUNK)):
                part = -(target * found(x).log_softmax(1)).sum()
                part.backward()
                loss = loss.detach() + part.detach()
            return loss

        optimizer.step(closure)
    return Linear(mean, scale, weight.detach(), bias.detach())


def choose_strength(
    features: Tensor, targets: Tensor, held: Tensor, strengths: Sequence[float] = STRENGTHS, steps: int = 50
) -> float:
    """The strength with the lowest cross-entropy on the rows `held` ((N,) bool), fitted to the others."""
    losses: list[float] = []
    found: Linear | None = None
    weight = targets[held].to(features)
    for strength in strengths:
        found = fit(features[~held], targets[~held], strength, found, steps)
        losses.append(-(weight * found(features[held]).log_softmax(1)).sum().item())
    return strengths[losses.index(min(losses))]


def held_out(count: int, share: float = 0.2, seed: int = 0) -> Tensor:
    """(count,) bool: a random fraction: at least one row, and never all of two or more."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order < max(1, min(count - 1, round(share * count)))
