"""The linear head: one linear classifier per pixel, to measure what frozen features hold."""

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import finest_size, index_levels, resize


class Linear(nn.Module):
    """Maps resized to the finest, concatenated, batch norm without affine parameters, dropout, 1x1 convolution.

    The batch norm has no parameters, so the head stays linear in the features. It is needed because the scales
    of features differ between backbones and levels by orders of magnitude: without it, no learning rate would
    suit them all, and a comparison of frozen backbones would compare learning rates.

    levels: indices into the backbone's levels; negative numbers count from the deepest.
    dropout: probability of dropping a whole channel, 0 to 1.
    Raises UserError if the backbone lacks a level.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        levels: tuple[int, ...] = (-1,),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.levels = index_levels(levels, len(dims))
        dim = sum(dims[level] for level in self.levels)
        self.norm = nn.BatchNorm2d(dim, affine=False)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(dim, num_classes, 1)

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the finest level."""
        size = finest_size(features.maps)
        x = torch.cat([resize(m, size) for m in features.maps], dim=1)
        return self.classifier(self.dropout(self.norm(x)))
