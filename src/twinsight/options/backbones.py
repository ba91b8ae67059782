"""Backbones."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.choices import table
from twinsight.options.ranges import BelowOne, Count, Pixels, Range, Width


@dataclass(frozen=True)
class TimmOptions(Buildable):
    """Any timm model, by name."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: str = "resnet18"
    """Any timm model, such as resnet50 or vit_small_patch16_224, or vit-pytorch."""
    pretrained: bool = False
    """Start from timm's weights for that name, which are downloaded."""
    output_stride: Count | None = None
    """Largest stride of a ResNet, which is dilated from there on: 8 or 16 for DeepLabV3. Default: the network's own."""
    drop_path_rate: BelowOne | None = None
    """Largest probability of skipping a block (stochastic depth). Default: the network's own."""
    channels: tuple[Width, Width, Width, Width] | None = None
    """Widths of a ResNet's four stages. Default: the network's own."""
    stem_width: Width | None = None
    """Width of a ResNet's stem. Default: the network's own."""
    img_size: Pixels | None = None
    """Image size in pixels that position embeddings are made for. Default: the network's own."""
    small_stem: bool = False
    """Begin a ResNet with a 3x3 convolution of stride 1 and no pooling, as is usual for images of 32 or 64 pixels."""


@dataclass(frozen=True)
class VitPytorchOptions(Buildable):
    """ViT of vit-pytorch (pip install 'twinsight[vit-pytorch]')."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: Literal["vit-pytorch"] = "vit-pytorch"
    image_size: Pixels = 224
    """Image size in pixels that position embeddings are made for; they are interpolated to other sizes."""
    patch_size: Pixels = 16
    """Side of a patch, in pixels."""
    dim: Width = 384
    """Width of the tokens."""
    depth: Annotated[int, Range(1, 1000)] = 12
    """Number of blocks."""
    heads: Width = 6
    """Attention heads per block."""
    mlp_dim: Width = 1536
    """Width of the hidden layer in each block."""
    dim_head: Width = 64
    """Width of each attention head."""
    dropout: BelowOne = 0.0
    """Probability of dropout within blocks."""
    emb_dropout: BelowOne = 0.0
    """Probability of dropout after the patch embedding."""


Backbone = TimmOptions | VitPytorchOptions

BACKBONES = table(Backbone)
"""Those that are not models of timm."""
