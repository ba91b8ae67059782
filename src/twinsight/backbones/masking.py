"""Runs a plain vision transformer on some of its patches, or with a learned token in place of some."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from twinsight.backbones.light_timm import Eva, VisionTransformer
from twinsight.backbones.timm_names import no_patches
from twinsight.backbones.vit_pytorch import VitPytorch


class Tokens(NamedTuple):
    """What a plain vision transformer computes for a batch of images, after its final norm.

    embedding: (B, dim), pooled by the network's own pooling. prefix: (B, P, dim), class and register tokens.
    patches: (B, N, dim), by rows.
    """

    embedding: Tensor
    prefix: Tensor
    patches: Tensor


def has_patches(network: nn.Module) -> bool:
    """Whether patches of this network can be masked: timm's VisionTransformer and Eva, and vit-pytorch's ViT.

    Others, such as Swin, mix neighboring patches by their places in the image.
    """
    return isinstance(network, VisionTransformer | Eva | VitPytorch)


def check_patches(method: str, network: nn.Module, name: str) -> None:
    """Raises UserError if the network of this name has no patches that the method could mask."""
    if not has_patches(network):
        raise no_patches(method, name)


@contextmanager
def masking(
    network: Any, keep: Tensor | None = None, mask: Tensor | None = None, mask_token: Tensor | None = None
) -> Generator[None]:
    """Inside, the network masks patches; arguments as for `Backbone.tokens`."""

    def replaced(_: nn.Module, __: Any, patches: Tensor) -> Tensor:
        """patches: (B, N, C), or (B, h, w, C)."""
        assert mask is not None
        assert mask_token is not None
        return torch.where(mask.view(*patches.shape[:-1], 1), mask_token.to(patches.dtype), patches)

    def kept(_: Any, __: Any, tokens: Tensor) -> Tensor:
        assert keep is not None
        prefix, patches = tokens.tensor_split((network.num_prefix_tokens,), dim=1)
        return torch.cat([prefix, take(patches, keep)], dim=1)

    ours = isinstance(network, VitPytorch)
    with ExitStack() as stack:
        if mask is not None:
            embedding = network.vit.to_patch_embedding if ours else network.patch_embed
            stack.callback(embedding.register_forward_hook(replaced).remove)
        if keep is not None and isinstance(network, Eva):  # it needs to know whose rotary positions to keep
            eva: Any = network
            stack.callback(setattr, eva, "patch_drop", eva.patch_drop)
            eva.patch_drop = Keeping(kept, keep)
        elif keep is not None:
            positioned = network.vit.dropout if ours else network.patch_drop
            stack.callback(positioned.register_forward_hook(kept).remove)
        yield


class Keeping(nn.Module):
    """Takes the place of Eva's patch dropout: tokens -> (the tokens kept, the indices of their patches)."""

    def __init__(self, kept: Any, keep: Tensor):
        super().__init__()
        self.kept, self.keep = kept, keep

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.kept(None, None, tokens), self.keep


def patch_grid(images: Tensor, side: int) -> tuple[int, int]:
    """Rows and columns of patches of this side, in pixels, that images (B, 3, H, W) have once they are padded."""
    return -(-images.shape[-2] // side), -(-images.shape[-1] // side)


def take(patches: Tensor, indices: Tensor) -> Tensor:
    """(B, N, C), (B, K) -> (B, K, C): the patches at these indices, for each image its own."""
    return patches.gather(1, indices[..., None].expand(-1, -1, patches.shape[2]))


def random_patches(images: int, patches: int, count: int, device: torch.device) -> Tensor:
    """(images, count): for each image the indices of `count` of its `patches`, drawn without replacement."""
    return torch.rand(images, patches, device=device).argsort(1)[:, :count]
