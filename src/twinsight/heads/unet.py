"""A U-Net decoder (Ronneberger et al., 2015) over any backbone's levels."""

import math

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import conv_bn_relu, resize, spread_levels


class UNet(nn.Module):
    """Each stage, from the deepest map up: upsample, concatenate the next shallower map, two 3x3 convolutions.

    A 1x1 convolution first reduces each shallower map to its stage's width, which keeps a ViT's wide maps
    cheap. Of a pyramid, the last `len(channels) + 1` levels are used. On a ViT, whose maps share one stride,
    evenly spaced blocks form a pyramid, as in UNETR (Hatamizadeh et al., 2022): the shallower a block, the more
    it is upsampled (2, 4 and 8 times, bilinear, never beyond stride 1). If the finest map is coarser than
    stride 2, stages without a skip follow, until stride 2 or the end of `channels`.

    channels: width of each stage, the deepest first.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        channels: tuple[int, ...] = (256, 128, 64, 32),
    ):
        super().__init__()
        self.scale = 1 if len(set(strides)) > 1 else 2
        count = len(channels) + 1
        if self.scale == 2:
            count = min(4, count, 1 + int(math.log2(strides[-1])))
        self.levels = spread_levels(strides, count)
        skips = len(self.levels) - 1
        finest = strides[self.levels[0]] / self.scale**skips
        stages = min(len(channels), skips + max(0, math.ceil(math.log2(finest / 2))))

        self.skips = nn.ModuleList(
            conv_bn_relu(dims[level], width, 1) for level, width in zip(self.levels[-2::-1], channels)
        )
        self.stages = nn.ModuleList()
        dim = dims[-1]
        for k, width in enumerate(channels[:stages]):
            joined = dim + width if k < skips else dim
            self.stages.append(nn.Sequential(conv_bn_relu(joined, width, 3), conv_bn_relu(width, width, 3)))
            dim = width
        self.classifier = nn.Conv2d(dim, num_classes, 1)

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the last stage."""
        x, *shallower = reversed(features.maps)
        for k, stage in enumerate(self.stages):
            if k < len(shallower):
                skip = self.skips[k](shallower[k])
                factor = self.scale ** (k + 1)
                size = (factor * skip.shape[-2], factor * skip.shape[-1])
                x = stage(torch.cat([resize(x, size), resize(skip, size)], dim=1))
            else:
                x = stage(resize(x, (2 * x.shape[-2], 2 * x.shape[-1])))
        return self.classifier(x)
