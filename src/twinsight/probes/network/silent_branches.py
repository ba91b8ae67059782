"""Residual branches switched off by initialization, which an untrained network would not show."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm)

GAINS = ("gamma", "skipinit_gain")
"""timm's names for the factors of layer scale (ConvNeXt, CaiT, DINOv2) and of skip-init (NFNet)."""

SILENT = 1e-3
"""A factor with equal entries below this is an initial value: trained entries differ."""


def silent_gains(model: nn.Module) -> list[Tensor]:
    """The factors that switch residual branches off, or nearly off.

    The last norm of a branch starts at 0 in timm's ResNets (Goyal et al., 2017) and Swin V2, layer scale at 1e-6 to
    1e-5 (Touvron et al., 2021), skip-init at 0 (De and Smith, 2020).
    """
    return [
        value
        for module in model.modules()
        for name, value in module.named_parameters(recurse=False)
        if (name in GAINS or (name == "weight" and isinstance(module, NORMS)))
        and bool((value == value.flatten()[0]).all())
        and abs(value.flatten()[0].item()) < SILENT
    ]


@contextmanager
def branches_on(model: nn.Module) -> Generator[int]:
    """Inside, silent branches count fully (a factor of 1); yields their number."""
    gains = silent_gains(model)
    before = [gain.detach().clone() for gain in gains]
    try:
        with torch.no_grad():
            for gain in gains:
                gain.fill_(1)
        yield len(gains)
    finally:
        with torch.no_grad():
            for gain, value in zip(gains, before):
                gain.copy_(value)
