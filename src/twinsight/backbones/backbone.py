"""One interface over every network that turns images into features."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.attention import Recorded, recording_attention
from twinsight.backbones.building import build_network, first_line
from twinsight.backbones.last_blocks import LastBlocks, check_last_blocks, last_blocks
from twinsight.backbones.light_timm import group_parameters
from twinsight.backbones.masking import Tokens, masking
from twinsight.backbones.positions import resize_as_dino
from twinsight.backbones.small_stem import make_small_stem
from twinsight.errors import UserError

WRONG_SHAPE = ("size of tensor", "is invalid for input of size")
"""PyTorch's words for shapes that do not match, or that a tensor cannot take."""


class Features(NamedTuple):
    """What a backbone computes for a batch of images.

    embedding: (B, dim), pooled by the network's own pooling.
    maps: one (B, C, h, w) tensor per requested level, in that order.
    extent: (height, width) in pixels that the maps cover: the images' size, or more if they were padded on the
        right and below. Resize maps to it, then crop to the images.
    attention: one float32 tensor per requested block, in that order: (B, heads, h, w), see `attention_maps`; for
        "patches", (B, heads, h*w, h, w), one map per patch.
    """

    embedding: Tensor
    maps: list[Tensor]
    extent: tuple[int, int]
    attention: Sequence[Tensor] = ()


class Backbone(nn.Module):
    """Any timm network, or vit-pytorch's ViT, which normalizes its own input.

    name: a timm model ("resnet50", "vit_small_patch16_224", ...) or "vit-pytorch".
    pretrained: load timm's weights for that name (downloads them).
    mean, std: RGB mean and standard deviation, in [0, 1], to normalize pixels by; default: the network's own.
    positions: "dino" resizes a ViT's position embeddings as the official DINO code does; default: as timm does.
    small_stem: of a ResNet, for small images; see `make_small_stem`. Only for random weights.
    options: passed to the network: `output_stride`, `drop_path_rate`, `img_size`, ...

    dim: width of the embedding. dims, strides: channels and stride in pixels of each level; a level is a
    stage of a convolutional network or Swin, or a block of a ViT. prefix_tokens: number of class and register
    tokens before the patches. weights: a value of --weights that opens the same weights.

    For networks that split images into patches (ViT, Swin, ConvNeXt), images are padded with the mean color to
    the next multiple of the largest stride.

    Raises UserError if the name or an option is unknown, and at the first batch if the network was built for
    another image size and cannot take this one.
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
        small_stem: bool = False,
        **options: Any,
    ):
        super().__init__()
        self.name = name
        self.weights = name if pretrained else f"random:{name}"
        self.options = {"mean": mean, "std": std, "positions": positions, "small_stem": small_stem or None} | options
        if small_stem and pretrained:
            raise UserError(
                "--backbone.small-stem: timm's weights are for the usual stem; leave out --backbone.pretrained"
            )
        self.network: Any = build_network(name, pretrained, options)
        if positions == "dino":
            resize_as_dino(self.network, name)
        if small_stem:
            make_small_stem(self.network, name)
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
        """Images as for `forward`. levels: indices into `dims`; negative numbers count from the deepest.

        Maps come in the order of `levels`; those of a ViT pass its final norm, as in DINO's evaluation.
        attention: blocks to record, from 0; negative numbers count from the last. query: whose attention, see `Query`.
        Raises UserError if the network has no such block.
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

    def check_last(self, count: int) -> None:
        """Raises UserError unless this is a plain ViT with more than `count` blocks."""
        check_last_blocks(self.name, self.network, count)

    def before_last(self, images: Tensor, count: int) -> LastBlocks:
        """The tokens before the last `count` blocks of a plain ViT, and these blocks, for a head that runs them.

        Raises UserError as `check_last` does.
        """
        self.check_last(count)
        pixels = self.normalize(images)
        first = len(self.dims) - count - 1
        seen: list[tuple[Tensor, Tensor | None]] = []

        def see(block: nn.Module, args: Any, kwargs: dict[str, Any], tokens: Tensor) -> None:
            seen.append((tokens, kwargs.get("rope")))

        hook = self.network.blocks[first].register_forward_hook(see, with_kwargs=True)
        try:
            intermediates = self.network.forward_intermediates
            (last,) = self._fitting(intermediates, pixels, indices=[first], stop_early=True, intermediates_only=True)
        finally:
            hook.remove()
        ((tokens, rope),) = seen
        blocks = last_blocks(self.network, count, rope)
        grid, extent = (last.shape[2], last.shape[3]), (pixels.shape[2], pixels.shape[3])
        return LastBlocks(tokens, blocks, self.network.norm, self.prefix_tokens, grid, extent)

    def tokens(
        self, images: Tensor, keep: Tensor | None = None, mask: Tensor | None = None, mask_token: Tensor | None = None
    ) -> Tokens:
        """Images as for `forward`. Only for networks that `has_patches` accepts.

        keep: (B, K) indices of the patches to run on; the others are dropped after position embeddings are added.
        mask: (B, N), true for patches whose embeddings `mask_token` (dim,) replaces before positions are added.
        """
        with masking(self.network, keep, mask, mask_token):
            final = self._fitting(self.network.forward_features, self.normalize(images))
        return Tokens(self.network.forward_head(final), *final.tensor_split((self.prefix_tokens,), dim=1))

    def normalize(self, images: Tensor) -> Tensor:
        """Images as float pixels, normalized and padded for the network."""
        scale, shift = 1 / self.std, -self.mean / self.std
        height, width = images.shape[-2:]
        if images.stride(1) == 1:  # channels_last: by whole rows, three times as fast as by three numbers
            scale, shift = (each.flatten().repeat(width, 1).T[:, None] for each in (scale, shift))
        if images.dtype == torch.uint8:
            pixels = images.float()  # then in place: allocating memory takes as long as filling it
            torch.addcmul(shift, pixels, scale / 255, out=pixels)
        else:
            pixels = torch.addcmul(shift, images, scale)
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        return F.pad(pixels, padding) if any(padding) else pixels

    def _fitting(self, call: Callable[..., Any], pixels: Tensor, **options: object) -> Any:
        """Call the network; an error about another image size than its own becomes a sentence."""
        try:
            return call(pixels, **options)
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in WRONG_SHAPE):
                raise
            size = f"{pixels.shape[2]}x{pixels.shape[3]}"
            raise UserError(
                f"--backbone {self.name}: cannot take images of {size} ({first_line(error)}); "
                "give their size as --backbone.img-size, or choose another model"
            ) from error

    def layer_ids(self) -> dict[str, int]:
        """Depth of each parameter, by name: 0 for the stem, then one number per block.

        A final norm or convolution belongs to the last block or has its own number, as timm groups them.
        """
        groups: Any = group_parameters(self.network, self.network.group_matcher(coarse=False), reverse=True)
        return {f"network.{name}": depth for name, depth in groups.items()}

    def freeze(self, blocks: int | Literal["all"]) -> None:
        """Freeze everything, or the stem and the first `blocks` blocks; -2: all but the last 2; 0 freezes nothing.

        Frozen modules stay in eval mode: fixed batch-norm statistics, no dropout.
        Raises UserError if the network has fewer blocks.
        """
        depth = self.layer_ids()
        deepest = max(depth.values())
        if blocks != "all" and not -deepest < blocks <= deepest:
            raise UserError(
                f"--freeze {blocks}: {self.name} has {deepest} blocks; give 0 to {deepest}, a negative number for all "
                "but the last ones, or all"
            )
        if blocks != "all" and blocks < 0:
            blocks += deepest
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
