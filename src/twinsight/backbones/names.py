"""How each project names the tensors of a network."""

from collections.abc import Callable
from typing import NamedTuple

from twinsight.backbones.cnn_names import (
    HUGGING_FACE_CONVNEXT,
    NUMBERED,
    OPENMMLAB_STEM,
    read_convnext,
    read_efficientnet,
    read_hugging_face_resnet,
)  # fmt: skip
from twinsight.backbones.renaming import State, renaming
from twinsight.backbones.vit_names import OPENMMLAB_VIT, read_dino, read_hugging_face_vit, read_vit_pytorch


class Layout(NamedTuple):
    """One project's names for one kind of network.

    words: a description. stem: a tensor of the first layer, whose prefix is that of the network in the file.
    also: another tensor that must be present. read: translates names to timm's.
    """

    words: str
    stem: str
    also: str
    read: Callable[[State], State] = dict


LAYOUTS = (
    Layout("ViT, as timm and DINO name it", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", read_dino),
    Layout("ViT, as timm and DINO name it", "patch_embed.proj.weight", "blocks.0.0.attn.qkv.weight", read_dino),
    Layout(
        "ViT, as Hugging Face names it", "embeddings.patch_embeddings.projection.weight", "embeddings.cls_token",
        read_hugging_face_vit,
    ),
    Layout(
        "DINOv3's ViT, as Hugging Face names it", "embeddings.patch_embeddings.weight", "embeddings.cls_token",
        read_hugging_face_vit,
    ),
    Layout("ViT, as OpenMMLab names it", "patch_embed.projection.weight", "layers.0.ln1.weight",
           renaming(OPENMMLAB_VIT)),
    Layout("ViT of vit-pytorch", "to_patch_embedding.1.weight", "pos_embedding", read_vit_pytorch),
    Layout("ResNet, as OpenMMLab names it", "stem.0.weight", "layer1.0.conv1.weight", renaming(OPENMMLAB_STEM)),
    Layout("ResNet, as torchvision and timm name it", "layer1.0.conv1.weight", "conv1.weight"),
    Layout("ResNet, as torchvision and timm name it", "layer1.0.conv1.weight", "conv1.0.weight"),
    Layout("ResNet as a numbered sequence", "4.0.conv1.weight", "0.weight", renaming(NUMBERED)),
    Layout(
        "ResNet, as Hugging Face names it", "embedder.embedder.convolution.weight",
        "encoder.stages.0.layers.0.layer.0.convolution.weight", read_hugging_face_resnet,
    ),
    Layout("ConvNeXt, as timm names it", "stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
    Layout("ConvNeXt, as its authors name it", "downsample_layers.0.0.weight", "stages.0.0.dwconv.weight",
           read_convnext),
    Layout(
        "ConvNeXt, as Hugging Face names it", "embeddings.patch_embeddings.weight", "embeddings.layernorm.weight",
        renaming(HUGGING_FACE_CONVNEXT),
    ),
    Layout(
        "DINOv3's ConvNeXt, as Hugging Face names it", "model.stages.0.downsample_layers.0.weight", "layer_norm.weight",
        renaming(HUGGING_FACE_CONVNEXT),
    ),
    Layout(
        "DINOv3's ConvNeXt, as Hugging Face names it", "stages.0.downsample_layers.0.weight",
        "stages.0.layers.0.depthwise_conv.weight", renaming(HUGGING_FACE_CONVNEXT),
    ),
    Layout("EfficientNet, as efficientnet-pytorch names it", "_conv_stem.weight", "_bn0.weight", read_efficientnet),
)  # fmt: skip
"""The first match is used."""
