"""Modules none of whose parameters and buffers is what another order or a missing layer would leave unchanged."""

import torch
from torch import nn


def randomized(module: nn.Module) -> nn.Module:
    """In evaluation, in float64, every batch norm unlike the identity."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)
            nn.init.normal_(norm.running_mean, 0, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return module.double().eval()
