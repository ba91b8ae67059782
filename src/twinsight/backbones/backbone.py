"""One interface over every network that turns images into features."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.attention import Recorded, recording_attention
from twinsight.backbones.hub import timm_weights
from twinsight.backbones.light_timm import group_parameters, timm
from twinsight.backbones.positions import resize_as_dino
from twinsight.errors import UserError

# What lets a network take other image sizes than the one it was made for: timm's plain ViTs know the first
# keyword, its Swins the second, and its convolutional networks need neither.
FLEXIBLE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})

WRONG_SHAPE = ("size of tensor", "is invalid for input of size")
"""What PyTorch says where tensors do not fit one another, or cannot be given a shape."""


class Features(NamedTuple):
    """What a backbone sees in a batch of images.

    embedding: (B, dim), pooled as the network pools it.
    maps: one (B, C, h, w) tensor a level, in the order asked for.
    extent: (height, width) in pixels of what the maps cover: the images' size, or more where they were padded
        on the right and below. Resize to it, then crop to the images.
    attention: one float32 tensor a block asked for, in that order: (B, heads, h, w), see `attention_maps`; for
        "patches" (B, heads, h*w, h, w), where each patch looks.
    """

    embedding: Tensor
    maps: list[Tensor]
    extent: tuple[int, int]
    attention: Sequence[Tensor] = ()


class Backbone(nn.Module):
    """Any timm network, or vit-pytorch's ViT, with its own pixel mean and deviation inside.

    name: a timm model ("resnet50", "vit_small_patch16_224", ...) or "vit-pytorch".
    pretrained: load timm's weights for that name (downloads them).
    mean, std: of the pixels, in RGB and in [0, 1], by which they are normalized; by default the network's own.
    positions: "dino" resizes a ViT's position embeddings as the official DINO does; by default as timm does.
    options: passed to the network: `output_stride`, `drop_path_rate`, `img_size`, ...

    dim: width of the embedding. dims, strides: channels and stride in pixels of each level; a level is a
    stage of a convolutional network or Swin, a block of a ViT. prefix_tokens: class and register tokens
    before the patches.

    Networks cut into patches (ViT, Swin, ConvNeXt) have images of other sizes padded with the mean color to
    the next multiple of their largest stride.

    Raises UserError if the name or an option is unknown, and on the first images if the network was made for
    another size and cannot take theirs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        positions: Literal["dino"] | None = None,
        **options: Any,
    ):
        super().__init__()
        self.name = name
        self.options = {"mean": mean, "std": std, "positions": positions} | options
        self.network: Any = build_network(name, pretrained, options)
        if positions == "dino":
            resize_as_dino(self.network, name)
        levels = list(self.network.feature_info)
        self.dims: tuple[int, ...] = tuple(level["num_chs"] for level in levels)
        self.strides: tuple[int, ...] = tuple(level["reduction"] for level in levels)
        self.dim: int = getattr(self.network, "head_hidden_size", None) or self.network.num_features
        self.prefix_tokens: int = getattr(self.network, "num_prefix_tokens", 0)
        stem = next(m for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        patches = isinstance(stem, nn.Linear) or stem.kernel_size == stem.stride or hasattr(self.network, "patch_embed")
        self.multiple = max(self.strides) if patches else 1
        config = self.network.pretrained_cfg
        self.register_buffer("mean", torch.tensor(mean or config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std or config["std"]).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), RGB, uint8 or float in [0, 1] -> pooled embedding (B, dim)."""
        return self._fitting(self.network, self.normalize(images))

    def features(
        self, images: Tensor, levels: Sequence[int], attention: Sequence[int] = (), query: Recorded = "auto"
    ) -> Features:
        """Images as for `forward`; levels: indices into `dims`, negative ones count from the deepest.

        The maps come in the order of `levels`. A ViT's have passed its final norm, as in DINO's evaluation.
        attention: blocks to record, from 0, negative ones count from the last; raises UserError if the network has none
        of them. query: who looks, by default the class token, or the mean over patches where there is none.
        """
        pixels = self.normalize(images)
        wanted = [level % len(self.dims) for level in levels]
        indices = sorted(set(wanted))
        intermediates = self.network.forward_intermediates
        recording = recording_attention(self, images, tuple(attention), query) if attention else nullcontext()
        with recording as recorded:
            final, found = self._fitting(intermediates, pixels, indices=indices, norm=True, output_fmt="NCHW")
        maps = [found[indices.index(level)] for level in wanted]
        extent = (pixels.shape[2], pixels.shape[3])
        return Features(self.network.forward_head(final), maps, extent, recorded.maps if recorded else ())

    def normalize(self, images: Tensor) -> Tensor:
        """Float pixels with the network's own mean and deviation, padded to a size that it takes."""
        scale, shift = 1 / self.std, -self.mean / self.std
        height, width = images.shape[-2:]
        if (
            images.stride(1) == 1
        ):  # channels_last: a whole row at a time, three times as fast as three numbers at a time
            scale, shift = (each.flatten().repeat(width, 1).T[:, None] for each in (scale, shift))
        if images.dtype == torch.uint8:
            pixels = images.float()  # and in place: half the memory, which takes as long to get as to fill
            torch.addcmul(shift, pixels, scale / 255, out=pixels)
        else:
            pixels = torch.addcmul(shift, images, scale)
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        return F.pad(pixels, padding) if any(padding) else pixels

    def _fitting(self, call: Callable[..., Any], pixels: Tensor, **options: object) -> Any:
        """A network made for one image size says of another only that some assertion or shape failed."""
        try:
            return call(pixels, **options)
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in WRONG_SHAPE):
                raise
            size = f"{pixels.shape[2]}x{pixels.shape[3]}"
            raise UserError(
                f"--backbone {self.name}: does not take images of {size} ({first_line(error)}); "
                "give their size as --backbone.img-size, or choose another model"
            ) from error

    def layer_ids(self) -> dict[str, int]:
        """Depth of every parameter, by name: 0 for the stem, then one number a block.

        A final norm or convolution goes with the last block, or has a number of its own, as timm groups them.
        """
        groups: Any = group_parameters(self.network, self.network.group_matcher(coarse=False), reverse=True)
        return {f"network.{name}": depth for name, depth in groups.items()}

    def freeze(self, blocks: int | Literal["all"]) -> None:
        """Freeze everything, or the stem and the first `blocks` blocks; 0 freezes nothing.

        What is frozen stays in eval mode: batch-norm statistics do not drift, nothing is dropped at random.
        Raises UserError if there are not so many blocks.
        """
        depth = self.layer_ids()
        deepest = max(depth.values())
        if blocks != "all" and not 0 <= blocks <= deepest:
            raise UserError(f"--freeze {blocks}: {self.name} has {deepest} blocks; give 0 to {deepest}, or all")
        for name, parameter in self.named_parameters():
            if blocks == "all" or (blocks > 0 and depth[name] <= blocks):
                parameter.requires_grad = False
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        for module in self.network.modules():
            frozen = [not parameter.requires_grad for parameter in module.parameters()]
            if frozen and all(frozen):
                module.eval()
        return self


def models_like(name: str) -> str:
    """A question after models of timm with names like it; "" if there are none."""
    close = get_close_matches(name, timm.list_models(), n=3, cutoff=0.6)
    return f"did you mean {', '.join(close)}?" if close else ""


def build_network(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """The network without its classifier."""
    if name == "vit-pytorch":
        from twinsight.backbones.vit_pytorch import VitPytorch  # an extra: imported only when asked for

        return VitPytorch(**options)
    if not timm.is_model(name):
        hint = models_like(name) or "timm.list_models() names them all"
        raise UserError(f"--backbone {name}: timm has no such model; {hint}")
    for flexible in FLEXIBLE:
        try:
            with timm_weights(name) if pretrained else nullcontext():
                return timm.create_model(name, pretrained=pretrained, num_classes=0, **flexible, **options)
        except TypeError as error:
            refused = str(error).split("'")[1::2][-1:]
            if "unexpected keyword" not in str(error):
                raise
            if refused and refused[0] in options:
                raise UserError(f"--backbone {name}: this network has no option {refused[0]}; leave it out") from error
        except (RuntimeError, ValueError, OSError, AssertionError) as error:
            given = ", ".join(f"{option} {value}" for option, value in options.items() if value is not None)
            reason = first_line(error) or f"refused {given or 'its own defaults'}"
            raise UserError(f"--backbone {name}: timm could not make it ({reason}); check its options") from error
    raise UserError(f"--backbone {name}: timm cannot make it without a classifier; choose another model")


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
