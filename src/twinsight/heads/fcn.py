"""A fully convolutional head (Long et al., 2015) as in torchvision; also the usual auxiliary head."""

from torch import Tensor, nn

from twinsight.backbones.backbone import Features
from twinsight.heads.maps import conv_bn_relu, index_levels


class Fcn(nn.Module):
    """3x3 convolution, batch norm, ReLU, dropout, 1x1 classifier on one map.

    Modules are named as in torchvision's FCN: its `classifier.*` weights load unchanged, and its
    `aux_classifier.*` weights after renaming that prefix.

    channels: width between the two convolutions; None: a quarter of the map's.
    level: index into the backbone's levels; negative numbers count from the deepest. Raises UserError if the backbone
    has no such level.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        channels: int | None = None,
        dropout: float = 0.1,
        level: int = -1,
    ):
        super().__init__()
        self.levels = index_levels((level,), len(dims), "--head.level")
        channels = channels or dims[level] // 4
        self.classifier = nn.Sequential(
            *conv_bn_relu(dims[level], channels, 3), nn.Dropout(dropout), nn.Conv2d(channels, num_classes, 1)
        )

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits at the stride of the map."""
        return self.classifier(features.maps[0])
