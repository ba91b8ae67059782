"""DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017)."""

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import Pooled, conv_bn_relu


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 branch, a dilated 3x3 branch per rate and a pooled branch, fused."""

    def __init__(self, dim: int, rates: tuple[int, ...], channels: int, dropout: float):
        super().__init__()
        branches: list[nn.Module] = [conv_bn_relu(dim, channels, 1)]
        for rate in rates:
            dilated = nn.Conv2d(dim, channels, 3, padding=rate, dilation=rate, bias=False)
            branches.append(nn.Sequential(dilated, nn.BatchNorm2d(channels), nn.ReLU()))
        branches.append(Pooled(dim, channels, 1, "DeepLabV3"))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*conv_bn_relu(len(branches) * channels, channels, 1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.cat([branch(x) for branch in self.convs], dim=1))


class DeepLabV3(nn.Module):
    """ASPP, a 3x3 convolution and a 1x1 classifier on the last map.

    Modules are named as in torchvision, so the `classifier.*` weights of its DeepLabV3 load unchanged.

    rates: dilations of the 3x3 branches in pixels of the map; None: the paper's for the map's stride,
    (12, 24, 36) up to stride 8, else (6, 12, 18).
    Raises UserError when training on a batch of 1, since the pooled branch then has no variance to normalize by.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        rates: tuple[int, ...] | None = None,
        channels: int = 256,
        dropout: float = 0.5,
    ):
        super().__init__()
        self.levels = (len(dims) - 1,)
        if rates is None:
            rates = (12, 24, 36) if strides[-1] <= 8 else (6, 12, 18)
        self.classifier = nn.Sequential(
            ASPP(dims[-1], rates, channels, dropout),
            *conv_bn_relu(channels, channels, 3),
            nn.Conv2d(channels, num_classes, 1),
        )

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the last map."""
        return self.classifier(features.maps[0])
