"""UPerNet (Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018)."""

import math

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import Pooled, conv_bn_relu, finest_size, resize, spread_levels


def rescaled(dim: int, doublings: int) -> nn.Module:
    """Resizes a map by 2**doublings: learned deconvolutions, or max pooling, rounded up so that no patch is lost."""
    if doublings <= 0:
        return nn.MaxPool2d(2**-doublings, ceil_mode=True) if doublings else nn.Identity()
    layers: list[nn.Module] = [nn.ConvTranspose2d(dim, dim, 2, 2)]
    for _ in range(doublings - 1):
        layers += [nn.BatchNorm2d(dim), nn.GELU(), nn.ConvTranspose2d(dim, dim, 2, 2)]
    return nn.Sequential(*layers)


class UPerNet(nn.Module):
    """Pyramid pooling on the deepest map, a feature pyramid from it up, all levels fused at the finest.

    Reads the last four levels of a pyramid. On a ViT, four evenly spaced blocks become a pyramid of strides 4, 8, 16
    and 32 as in BEiT (Bao et al., 2022): patches of 16 are doubled twice, doubled, kept and halved. Other patches get
    the nearest powers of two, and none is halved for the finest.

    channels: width of every convolution. dropout: probability of dropping a whole channel before the classifier.
    Raises UserError when training on a batch of 1, since the pooling to one pixel then has no variance to normalize by.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        channels: int = 512,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.levels = spread_levels(strides, 4)
        *lateral, deepest = (dims[level] for level in self.levels)
        finest = max(0, round(math.log2(strides[0] / 4)))
        doublings = [0] * len(self.levels) if len(set(strides)) > 1 else range(finest, finest - len(self.levels), -1)
        self.rescale = nn.ModuleList(rescaled(dims[level], k) for level, k in zip(self.levels, doublings))
        self.pools = nn.ModuleList(Pooled(deepest, channels, size, "UPerNet") for size in (1, 2, 3, 6))
        self.bottleneck = conv_bn_relu(deepest + len(self.pools) * channels, channels, 3)
        self.lateral = nn.ModuleList(conv_bn_relu(dim, channels, 1) for dim in lateral)
        self.smooth = nn.ModuleList(conv_bn_relu(channels, channels, 3) for _ in lateral)
        self.fuse = conv_bn_relu(len(self.levels) * channels, channels, 3)
        self.classify = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(channels, num_classes, 1))

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the finest map, 4 on most backbones."""
        *maps, deepest = (rescale(m) for rescale, m in zip(self.rescale, features.maps))
        x = self.bottleneck(torch.cat([deepest, *(pool(deepest) for pool in self.pools)], dim=1))
        outputs = [x]
        for m, lateral, smooth in zip(reversed(maps), reversed(self.lateral), reversed(self.smooth)):
            x = lateral(m) + resize(x, (m.shape[-2], m.shape[-1]))
            outputs.insert(0, smooth(x))
        size = finest_size(outputs)
        return self.classify(self.fuse(torch.cat([resize(output, size) for output in outputs], dim=1)))
