"""Backbones."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.choices import table
from twinsight.options.ranges import BelowOne, Count, Pixels, Range, Width


@dataclass(frozen=True)
class TimmOptions(Buildable):
    """Any timm model by its name."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: str = "resnet18"
    """A timm model (resnet50, vit_small_patch16_224, swin_tiny_patch4_window7_224, ...), or vit-pytorch."""
    pretrained: bool = False
    """Start from timm's own weights for that name (downloaded)."""
    output_stride: Count | None = None
    """Largest stride of a ResNet, the rest made by dilation: 8 or 16 for DeepLabV3. Default: the network's own."""
    drop_path_rate: BelowOne | None = None
    """Stochastic depth. Default: the network's own."""
    channels: tuple[Width, Width, Width, Width] | None = None
    """Widths of a ResNet's four stages. Default: the network's own."""
    stem_width: Width | None = None
    """Width of a ResNet's stem. Default: the network's own."""
    img_size: Pixels | None = None
    """Image size of networks whose position embeddings are made for one. Default: the network's own."""


@dataclass(frozen=True)
class VitPytorchOptions(Buildable):
    """vit-pytorch's ViT (pip install 'twinsight[vit-pytorch]')."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: Literal["vit-pytorch"] = "vit-pytorch"
    image_size: Pixels = 224
    """Image size that the position embeddings are made for; others are interpolated."""
    patch_size: Pixels = 16
    dim: Width = 384
    depth: Annotated[int, Range(1, 1000)] = 12
    heads: Width = 6
    mlp_dim: Width = 1536
    dim_head: Width = 64
    """Width of each attention head."""
    dropout: BelowOne = 0.0
    emb_dropout: BelowOne = 0.0


Backbone = TimmOptions | VitPytorchOptions

BACKBONES = table(Backbone)
"""Those that are no model of timm."""
