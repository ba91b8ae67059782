"""Works around wrong gradients of strided convolutions on tiny maps, in bfloat16 on a CPU."""

from functools import cache, partial
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn


class LoneTaps(pl.Callback):
    """Trains strided convolutions in float32 if some of their taps see only padding.

    The gradient of such a tap's weights is 0, but oneDNN's AVX-512 kernel for bfloat16 does not write it, so training
    uses whatever the memory held before, NaN included. A 3x3 convolution of stride 2 on a 1x1 map has such taps, as in
    the last stage of a ResNet on crops of 16 pixels. Seen in every PyTorch from 1.13 to 2.15.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and module.padding != "valid":
                module.forward = partial(careful, module, module.forward)  # pyright: ignore[reportAttributeAccessIssue]


def careful(convolution: nn.Conv2d, forward: Any, images: Tensor) -> Tensor:
    if not torch.is_grad_enabled() or not any(map(lone_tap, *geometry(convolution, images))):
        return forward(images)
    with torch.autocast("cpu", enabled=False):
        return forward(images.float())


def geometry(convolution: nn.Conv2d, images: Tensor) -> tuple[Any, ...]:
    """Arguments of `lone_tap`, for height and width."""
    c = convolution
    return images.shape[-2:], c.kernel_size, c.stride, c.padding, c.dilation


@cache
def lone_tap(length: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether some tap of the kernel lies outside the map's `length` pixels at every position of the kernel."""
    starts = range(-padding, length + padding - dilation * (kernel - 1), stride)
    return any(not any(0 <= start + dilation * tap < length for start in starts) for tap in range(kernel))
