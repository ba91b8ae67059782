"""A ResNet for small images: a 3x3 convolution of stride 1 and no pooling before its first stage."""

from typing import Any

from torch import nn

from twinsight.errors import UserError


def make_small_stem(network: Any, name: str) -> None:
    """Change a timm ResNet as He et al. (2016) and everyone since have it for CIFAR; all strides shrink to a quarter.

    Raises UserError for another network, or a stem of several convolutions.
    """
    conv = getattr(network, "conv1", None)
    if not (isinstance(conv, nn.Conv2d) and isinstance(getattr(network, "maxpool", None), nn.MaxPool2d)):
        raise UserError(
            f"--backbone.small-stem: {name} has no stem of one convolution and a pooling; choose a ResNet such as "
            "resnet18, or leave it out"
        )
    network.conv1 = nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    for level in network.feature_info:
        level["reduction"] = max(1, level["reduction"] // 4)
