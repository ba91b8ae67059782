"""Segmentation heads."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.choices import table
from twinsight.options.ranges import BelowOne, Index, Pixels, Range, Width


@dataclass(frozen=True)
class LinearOptions(Buildable):
    """Linear head: batch norm and a 1x1 convolution, to see what the features hold by themselves."""

    target: ClassVar = "twinsight.heads.linear:Linear"
    name: Literal["linear"] = "linear"
    levels: tuple[Index, ...] = (-1,)
    """Levels of the backbone to read; -1 is the deepest. Several are resized to the finest and concatenated."""
    dropout: BelowOne = 0.0
    """Probability of dropping a channel."""


@dataclass(frozen=True)
class SetrNaiveOptions(Buildable):
    """SETR-Naive (Zheng et al., 2021): two 1x1 convolutions."""

    target: ClassVar = "twinsight.heads.setr:SetrNaive"
    name: Literal["setr-naive"] = "setr-naive"
    channels: Width = 256
    """Width of the convolutions."""


@dataclass(frozen=True)
class SetrPupOptions(Buildable):
    """SETR-PUP (Zheng et al., 2021): progressive upsampling."""

    target: ClassVar = "twinsight.heads.setr:SetrPup"
    name: Literal["setr-pup"] = "setr-pup"
    channels: Width = 256
    """Width of the convolutions."""


@dataclass(frozen=True)
class SetrMlaOptions(Buildable):
    """SETR-MLA (Zheng et al., 2021): four levels, aggregated from the deepest."""

    target: ClassVar = "twinsight.heads.setr:SetrMla"
    name: Literal["setr-mla"] = "setr-mla"
    channels: Width = 256
    """Width of the convolutions."""


@dataclass(frozen=True)
class DeepLabV3Options(Buildable):
    """DeepLabV3 (Chen et al., 2017): atrous spatial pyramid pooling. Use it with --backbone.output-stride 8 or 16."""

    target: ClassVar = "twinsight.heads.deeplab:DeepLabV3"
    name: Literal["deeplabv3"] = "deeplabv3"
    rates: tuple[Pixels, ...] | None = None
    """Dilations of the 3x3 branches. Default: 12 24 36 at strides up to 8, otherwise 6 12 18."""
    channels: Width = 256
    """Width of each branch."""
    dropout: BelowOne = 0.5
    """Probability of dropout before the classifier."""


@dataclass(frozen=True)
class FcnOptions(Buildable):
    """FCN (Long et al., 2015): a 3x3 and a 1x1 convolution on one level."""

    target: ClassVar = "twinsight.heads.fcn:Fcn"
    name: Literal["fcn"] = "fcn"
    channels: Width | None = None
    """Width between the convolutions. Default: a quarter of the level's channels."""
    dropout: BelowOne = 0.1
    """Probability of dropout before the classifier."""
    level: Index = -1
    """Level of the backbone to read; -1 is the deepest."""


@dataclass(frozen=True)
class UNetOptions(Buildable):
    """U-Net decoder (Ronneberger et al., 2015) over all levels."""

    target: ClassVar = "twinsight.heads.unet:UNet"
    name: Literal["unet"] = "unet"
    channels: tuple[Width, ...] = (256, 128, 64, 32)
    """Widths of the decoder's stages, deepest first."""


@dataclass(frozen=True)
class EomtOptions(Buildable):
    """EoMT (Kerssies et al., 2025): queries join the last blocks of a plain ViT; each finds a class and its mask.
    --head-lr auto is 1e-4 with it."""

    target: ClassVar = "twinsight.heads.eomt:Eomt"
    name: Literal["eomt"] = "eomt"
    queries: Annotated[int, Range(1, 10000)] = 100
    """Number of queries; an image's classes need one each."""
    blocks: Annotated[int, Range(1, 1000)] | None = None
    """Last blocks that the queries join. Default: 3 of up to 12 (ViT-S, ViT-B), otherwise 4."""
    points: Annotated[int, Range(1, 10**6)] = 12544
    """Random points at which the loss compares masks."""


@dataclass(frozen=True)
class UPerNetOptions(Buildable):
    """UPerNet (Xiao et al., 2018): pyramid pooling and a feature pyramid over four levels."""

    target: ClassVar = "twinsight.heads.upernet:UPerNet"
    name: Literal["upernet"] = "upernet"
    channels: Width = 512
    """Width of the convolutions."""
    dropout: BelowOne = 0.1
    """Probability of dropping a channel before the classifier."""


@dataclass(frozen=True)
class SegFormerOptions(Buildable):
    """SegFormer's decoder (Xie et al., 2021): 1x1 convolutions over four levels."""

    target: ClassVar = "twinsight.heads.segformer:SegFormer"
    name: Literal["segformer"] = "segformer"
    channels: Width = 256
    """Width of the convolutions."""
    dropout: BelowOne = 0.1
    """Probability of dropout before the classifier."""


@dataclass(frozen=True)
class FusionOptions(Buildable):
    blocks: tuple[Index, ...] = (-1,)
    """Blocks whose attention is read, counted from 0; -1 is the last."""
    source: Literal["attention", "uniform", "shuffled"] = "attention"
    """What the head reads: attention, or a control of the same size that shows what attention adds."""
    channels: Width = 256
    """Width of the convolutions."""


@dataclass(frozen=True)
class FusionConcatOptions(FusionOptions):
    """SETR-PUP that reads the attention of every head as well as the features."""

    target: ClassVar = "twinsight.heads.fusion:FusionConcat"
    name: Literal["fusion-concat"] = "fusion-concat"


@dataclass(frozen=True)
class FusionGateOptions(FusionOptions):
    """SETR-PUP whose stages are gated by a learned mix of attention heads."""

    target: ClassVar = "twinsight.heads.fusion:FusionGate"
    name: Literal["fusion-gate"] = "fusion-gate"


@dataclass(frozen=True)
class FusionAffinityOptions(FusionOptions):
    """SETR-PUP whose logits spread from patch to patch along attention."""

    target: ClassVar = "twinsight.heads.fusion:FusionAffinity"
    name: Literal["fusion-affinity"] = "fusion-affinity"
    steps: Annotated[int, Range(1, 100)] = 1
    """Number of times that the logits spread."""


Head = (
    LinearOptions
    | SetrNaiveOptions
    | SetrPupOptions
    | SetrMlaOptions
    | DeepLabV3Options
    | FcnOptions
    | UNetOptions
    | EomtOptions
    | UPerNetOptions
    | SegFormerOptions
    | FusionConcatOptions
    | FusionGateOptions
    | FusionAffinityOptions
)
"""Every head that is here; a new one is added to this list."""

HEADS = table(Head)
