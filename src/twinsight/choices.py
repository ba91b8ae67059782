"""What is chosen by name: data sets, backbones, methods and heads, each with its own options.

A dataclass here names in `target` what it builds; its fields are that thing's arguments, flags (`--head.channels`) and
keys of a recipe. A new method, head or data set is its own file, its dataclass here, and its line in the table. No torch
here: `--help` must come at once.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro


def named(flag: str, *names: str) -> Any:
    """A name given as `--flag NAME`, stored in the chosen dataclass itself."""
    metavar = f"{{{','.join(names)}}}" if names else "NAME"
    return tyro.conf.arg(name=flag, prefix_name=False, metavar=metavar)


def build(options: Any, *args: object, **extra: object) -> Any:
    """Import what the options describe and call it with them; `extra` adds arguments or overrides."""
    module, _, attribute = options.target.partition(":")
    arguments = {}
    for option in fields(options):
        if option.name not in options.not_arguments:
            value = getattr(options, option.name)
            arguments[option.name] = build(value) if is_dataclass(value) else value
    return getattr(import_module(module), attribute)(*args, **arguments | extra)


class Buildable:
    target: ClassVar[str]
    not_arguments: ClassVar[tuple[str, ...]] = ("name",)


# --- data ---------------------------------------------------------------------------------------------------------

DataName = Annotated[str, named("data", "shapes", "voc", "coco-stuff", "folder")]


@dataclass
class DataOptions(Buildable):
    not_arguments: ClassVar = ("name", "train", "val")
    train: str = "train"
    """Split to train on."""
    val: str = "val"
    """Split to validate on."""

    def open(self, role: Literal["train", "val"]) -> Any:
        """The `Dataset` of the training or the validation split."""
        return build(self, split=getattr(self, role))


@dataclass
class ShapesOptions(DataOptions):
    """Procedural scenes, rendered as they are read: nothing to download."""

    target: ClassVar = "twinsight.data.shapes:Shapes"
    name: DataName = "shapes"
    not_arguments: ClassVar = ("name", "train", "val", "val_count")
    count: int = 2000
    """Number of training images."""
    val_count: int = 500
    """Number of validation images."""
    size: int = 96
    """Side of an image in pixels."""
    seed: int = 0
    """Seed of the scenes (not of the training)."""
    objects: int = 2
    """Most objects in an image."""
    crowding: float = 0.25
    """Probability of each object after the first."""
    radius: tuple[float, float] = (0.3, 0.45)
    """Radius of an object, smallest and largest, as a share of the image's side."""
    texture: float = 0.25
    """Loudness of the background, 0 to 1."""

    def open(self, role: Literal["train", "val"]) -> Any:
        split = getattr(self, role)
        return build(self, split=split, count=self.count if split == "train" else self.val_count)


@dataclass
class VocOptions(DataOptions):
    """PASCAL VOC 2012 segmentation: 20 classes and background."""

    target: ClassVar = "twinsight.data.voc:Voc"
    name: DataName = "voc"
    root: Path = Path("data/voc")
    """Folder that holds VOCdevkit/VOC2012."""
    download: bool = False
    """Fetch it into root first (2 GB) where it is missing."""


@dataclass
class CocoStuffOptions(DataOptions):
    """COCO-Stuff: 171 classes; 164k (stuffthingmaps) or 10k (.mat)."""

    target: ClassVar = "twinsight.data.coco_stuff:CocoStuff"
    name: DataName = "coco-stuff"
    root: Path = Path("data/coco-stuff")
    """Folder with the official layout."""
    version: Literal["164k", "10k"] = "164k"
    """Which of the two."""


@dataclass
class FolderOptions(DataOptions):
    """Your own images: any folder; with masks in a second folder, or in VOC layout."""

    target: ClassVar = "twinsight.data.folder:Folder"
    name: DataName = "folder"
    root: Path = Path(".")
    """Folder of images (searched recursively), or of a VOC layout (ImageSets, JPEGImages, SegmentationClass)."""
    masks: Path | None = None
    """Folder of masks: one PNG of class indices an image, of the same name; 255 is void."""
    classes: Path | None = None
    """File with one class name a line. Default: classes.txt in root or in the masks' folder."""
    val_fraction: float = 0.2
    """Share held out for validation where no split files say it."""


DATA = {"shapes": ShapesOptions, "voc": VocOptions, "coco-stuff": CocoStuffOptions, "folder": FolderOptions}

# --- backbones ----------------------------------------------------------------------------------------------------

BackboneName = Annotated[str, named("backbone")]


@dataclass
class TimmOptions(Buildable):
    """Any timm model by its name."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: BackboneName = "resnet18"
    """A timm model (resnet50, vit_small_patch16_224, swin_tiny_patch4_window7_224, ...), or vit-pytorch."""
    pretrained: bool = False
    """Start from timm's own weights for that name (downloaded)."""
    output_stride: int | None = None
    """Largest stride of a ResNet, the rest made by dilation: 8 or 16 for DeepLabV3. Default: the network's own."""
    drop_path_rate: float | None = None
    """Stochastic depth. Default: the network's own."""
    channels: tuple[int, ...] | None = None
    """Widths of a ResNet's four stages. Default: the network's own."""
    stem_width: int | None = None
    """Width of a ResNet's stem. Default: the network's own."""
    img_size: int | None = None
    """Image size of networks whose position embeddings are made for one. Default: the network's own."""


@dataclass
class VitPytorchOptions(Buildable):
    """vit-pytorch's ViT (pip install 'twinsight[vit-pytorch]')."""

    target: ClassVar = "twinsight.backbones.backbone:Backbone"
    not_arguments: ClassVar = ()
    name: BackboneName = "vit-pytorch"
    image_size: int = 224
    """Image size that the position embeddings are made for; others are interpolated."""
    patch_size: int = 16
    dim: int = 384
    depth: int = 12
    heads: int = 6
    mlp_dim: int = 1536
    dropout: float = 0.0
    emb_dropout: float = 0.0


BACKBONES = {"vit-pytorch": VitPytorchOptions}

# --- methods ------------------------------------------------------------------------------------------------------

MethodName = Annotated[str, named("method", "barlow-twins")]


@dataclass
class TwoViewsOptions(Buildable):
    """Two views of an image, as in BYOL and Barlow Twins; pairs of numbers are for the first and the second view."""

    target: ClassVar = "twinsight.data.views:two_views"
    not_arguments: ClassVar = ()
    size: int = 224
    """Side of a view in pixels."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Share of the image's area that is cropped, smallest and largest."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Aspect ratio of the crop, smallest and largest."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    jitter: float = 0.8
    """Probability of color jitter."""
    brightness: float = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    contrast: float = 0.4
    """Jitter: factor 1 - x to 1 + x."""
    saturation: float = 0.2
    """Jitter: factor 1 - x to 1 + x."""
    hue: float = 0.1
    """Jitter: shift of -x to x of the color circle, at most 0.5."""
    gray: float = 0.2
    """Probability of gray."""
    blur: tuple[float, float] = (1.0, 0.1)
    """Probability of a Gaussian blur, for each view."""
    sigma: tuple[float, float] = (0.1, 2.0)
    """Deviation of the blur in pixels, smallest and largest."""
    solarize: tuple[float, float] = (0.0, 0.2)
    """Probability of solarization (values of 128 and more inverted), for each view."""
    mix: float = 0.0
    """Probability of mixing the color channels by a random matrix (not in the paper)."""
    invert: float = 0.0
    """Probability of inverting all colors (not in the paper)."""


@dataclass
class BarlowTwinsOptions(Buildable):
    """Barlow Twins (Zbontar et al., 2021)."""

    target: ClassVar = "twinsight.methods.barlow_twins:BarlowTwins"
    name: MethodName = "barlow-twins"
    projector: tuple[int, ...] = (8192, 8192, 8192)
    """Widths of the projector's layers."""
    lambd: float = 0.0051
    """Weight of the off-diagonal terms."""
    views: TwoViewsOptions = field(default_factory=TwoViewsOptions)


METHODS = {"barlow-twins": BarlowTwinsOptions}

# --- augmentation of pairs -------------------------------------------------------------------------------------


@dataclass
class PairOptions(Buildable):
    """Augmentation of images and masks."""

    target: ClassVar = "twinsight.data.pairs:PairAugmentation"
    not_arguments: ClassVar = ()
    size: int = 512
    """Side of a training crop in pixels."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Factor by which the image is resized before the crop, smallest and largest."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    jitter: float = 0.5
    """Probability of color jitter."""
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1


# --- heads --------------------------------------------------------------------------------------------------------

HeadName = Annotated[str, named("head", "linear", "setr-naive", "setr-pup", "setr-mla", "deeplabv3", "fcn", "unet")]


@dataclass
class LinearOptions(Buildable):
    """Batch norm and a 1x1 convolution: what the features hold by themselves."""

    target: ClassVar = "twinsight.heads.linear:Linear"
    name: HeadName = "linear"
    levels: tuple[int, ...] = (-1,)
    """Levels of the backbone to read, -1 the deepest; several are resized to the finest and concatenated."""
    dropout: float = 0.0


@dataclass
class SetrNaiveOptions(Buildable):
    """SETR-Naive (Zheng et al., 2021): two 1x1 convolutions."""

    target: ClassVar = "twinsight.heads.setr:SetrNaive"
    name: HeadName = "setr-naive"
    channels: int = 256


@dataclass
class SetrPupOptions(Buildable):
    """SETR-PUP (Zheng et al., 2021): progressive upsampling."""

    target: ClassVar = "twinsight.heads.setr:SetrPup"
    name: HeadName = "setr-pup"
    channels: int = 256


@dataclass
class SetrMlaOptions(Buildable):
    """SETR-MLA (Zheng et al., 2021): four levels, aggregated from the deepest down."""

    target: ClassVar = "twinsight.heads.setr:SetrMla"
    name: HeadName = "setr-mla"
    channels: int = 256


@dataclass
class DeepLabV3Options(Buildable):
    """DeepLabV3 (Chen et al., 2017): atrous spatial pyramid pooling; see --backbone.output-stride."""

    target: ClassVar = "twinsight.heads.deeplab:DeepLabV3"
    name: HeadName = "deeplabv3"
    rates: tuple[int, ...] | None = None
    """Dilations of the 3x3 branches. Default: 12 24 36 up to stride 8, else 6 12 18."""
    channels: int = 256
    dropout: float = 0.5


@dataclass
class FcnOptions(Buildable):
    """FCN (Long et al., 2015): a 3x3 and a 1x1 convolution on one level."""

    target: ClassVar = "twinsight.heads.fcn:Fcn"
    name: HeadName = "fcn"
    channels: int | None = None
    """Default: a quarter of the level's channels."""
    dropout: float = 0.1
    level: int = -1
    """Level of the backbone to read, -1 the deepest."""


@dataclass
class UNetOptions(Buildable):
    """U-Net decoder (Ronneberger et al., 2015) over all levels."""

    target: ClassVar = "twinsight.heads.unet:UNet"
    name: HeadName = "unet"
    channels: tuple[int, ...] = (256, 128, 64, 32)
    """Widths of the decoder's steps, deepest first."""


HEADS = {
    "linear": LinearOptions,
    "setr-naive": SetrNaiveOptions,
    "setr-pup": SetrPupOptions,
    "setr-mla": SetrMlaOptions,
    "deeplabv3": DeepLabV3Options,
    "fcn": FcnOptions,
    "unet": UNetOptions,
}
