"""The decoders of SETR (Zheng et al., "Rethinking Semantic Segmentation from a Sequence-to-Sequence
Perspective with Transformers", CVPR 2021): naive, progressive upsampling (PUP) and multi-level feature
aggregation (MLA).

As in the authors' code, every map is first layer-normalized over its channels, since a block's raw output has
no fixed scale. Where the paper upsamples before the 1x1 classifier, the classifier comes first here: the two
commute (bilinear weights sum to 1), and logits take a fraction of the memory of 256 channels.
"""

from itertools import accumulate

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.backbones.light_timm import LayerNorm2d
from twinsight.heads.maps import conv_bn_relu, doublings, finest_size, resize, spread_levels


class SetrNaive(nn.Module):
    """1x1 convolution, batch norm, ReLU, 1x1 classifier on the last map; logits at its stride."""

    def __init__(self, dims: tuple[int, ...], strides: tuple[int, ...], num_classes: int, channels: int = 256):
        super().__init__()
        self.levels = (len(dims) - 1,)
        self.decode = nn.Sequential(
            LayerNorm2d(dims[-1]), conv_bn_relu(dims[-1], channels, 1), nn.Conv2d(channels, num_classes, 1)
        )

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the last map."""
        return self.decode(features.maps[0])


class SetrPup(nn.Module):
    """Steps of 3x3 convolution, batch norm, ReLU and 2x upsampling on the last map; then the 1x1 classifier.

    Stride 16 takes 4 steps to full size, as in the paper. Other strides take round(log2(stride)) steps, at
    least 1 and at most 4: 3 at stride 8, 4 at stride 14 (logits slightly finer than the image) and at stride
    32 (logits at stride 2).
    """

    def __init__(self, dims: tuple[int, ...], strides: tuple[int, ...], num_classes: int, channels: int = 256):
        super().__init__()
        self.levels = (len(dims) - 1,)
        steps = doublings(strides[-1])
        layers: list[nn.Module] = [LayerNorm2d(dims[-1])]
        for dim in [dims[-1]] + [channels] * (steps - 1):
            layers += [conv_bn_relu(dim, channels, 3), nn.Upsample(scale_factor=2, mode="bilinear")]
        layers.insert(-1, nn.Conv2d(channels, num_classes, 1))
        self.decode = nn.Sequential(*layers)

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, 2**steps h, 2**steps w) logits for a last map of h x w."""
        return self.decode(features.maps[0])


class SetrMla(nn.Module):
    """Four streams, summed from the deepest up, each with its own convolutions; concatenated, classified.

    A stream is a 1x1 convolution to `channels`, the sum with all deeper streams, a 3x3 convolution (the
    paper's "additional" one), then two 3x3 convolutions that halve the channels; each with batch norm and
    ReLU. The fused map is upsampled 4x. Reads four evenly spaced blocks of a ViT (3, 6, 9, 12 of 12), or the
    last four levels of a pyramid, resized to the finest.
    """

    def __init__(self, dims: tuple[int, ...], strides: tuple[int, ...], num_classes: int, channels: int = 256):
        super().__init__()
        self.levels = spread_levels(strides, 4)
        self.project = nn.ModuleList(
            nn.Sequential(LayerNorm2d(dims[level]), conv_bn_relu(dims[level], channels, 1)) for level in self.levels
        )
        self.streams = nn.ModuleList(  # from the deepest, the order of the sums
            nn.Sequential(
                conv_bn_relu(channels, channels, 3),
                conv_bn_relu(channels, channels // 2, 3),
                conv_bn_relu(channels // 2, channels // 2, 3),
            )
            for _ in self.levels
        )
        self.classifier = nn.Conv2d(len(self.levels) * (channels // 2), num_classes, 1)
        self.upsample = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, 4h, 4w) logits for a finest map of h x w."""
        size = finest_size(features.maps)
        projected = [resize(project(m), size) for project, m in zip(self.project, features.maps)]
        streams = [stream(x) for stream, x in zip(self.streams, accumulate(reversed(projected)))]
        return self.upsample(self.classifier(torch.cat(streams, dim=1)))
