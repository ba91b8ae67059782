"""The all-MLP decoder of SegFormer (Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers", NeurIPS 2021)."""

import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import finest_size, resize, spread_levels


class SegFormer(nn.Module):
    """Each map projected to one width, upsampled to the finest and fused; batch norm, ReLU, dropout, 1x1 classifier.

    The paper concatenates the upsampled maps and fuses them with one 1x1 convolution. Here each map passes its part of
    that convolution before it is upsampled, and the results are summed: the two commute, and most of the work moves to
    the coarse maps. Reads the last four levels of a pyramid, or four evenly spaced blocks of a ViT.

    channels: the common width. dropout: probability, 0 to 1.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        channels: int = 256,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.levels = spread_levels(strides, 4)
        self.project = nn.ModuleList(nn.Conv2d(dims[level], channels, 1) for level in self.levels)
        self.fuse = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in self.levels)
        self.norm = nn.BatchNorm2d(channels)
        self.classify = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(channels, num_classes, 1))

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the finest map."""
        size = finest_size(features.maps)
        fused = [resize(fuse(project(m)), size) for project, fuse, m in zip(self.project, self.fuse, features.maps)]
        return self.classify(F.relu(self.norm(sum(fused[1:], fused[0]))))
