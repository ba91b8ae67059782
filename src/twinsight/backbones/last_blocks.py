"""The last blocks of a plain vision transformer, for a head that runs them itself, with tokens of its own."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from twinsight.backbones.light_timm import Eva, VisionTransformer
from twinsight.errors import UserError

Block = Callable[[Tensor, Tensor | None], Tensor]
"""(tokens (B, T, C), a mask (B, 1, T, T) that is False where a token must not look) -> tokens."""


class LastBlocks(NamedTuple):
    """What a backbone hands to a head that runs its last blocks.

    tokens: (B, prefix + h * w, C) before the first of these blocks: class and register tokens, then patches by rows.
        The head may append its own at the end; rotary positions leave those as they are.
    blocks: to be called in this order. norm: the network's final norm.
    prefix: number of tokens before the patches. grid: (h, w). extent: as in `Features`.
    """

    tokens: Tensor
    blocks: Sequence[Block]
    norm: nn.Module
    prefix: int
    grid: tuple[int, int]
    extent: tuple[int, int]


def check_last_blocks(name: str, network: Any, count: int) -> None:
    """Raises UserError unless the network is a plain ViT of timm with more than `count` blocks."""
    plain = isinstance(network, VisionTransformer | Eva) and not getattr(network, "rope_mixed", False)
    if not plain or "attn_mask" not in inspect.signature(type(network.blocks[-1]).forward).parameters:
        raise UserError(
            f"--backbone {name}: is not one of timm's plain vision transformers, whose last blocks a head can run; "
            "give one, such as vit_small_patch16_224, or another head, such as --head setr-pup"
        )
    if not 0 < count < len(network.blocks):
        raise UserError(
            f"--head.blocks {count}: {name} has {len(network.blocks)} blocks, and the first runs before the head; "
            f"give 1 to {len(network.blocks) - 1}"
        )


def last_blocks(network: Any, count: int, rope: Tensor | None) -> list[Block]:
    """The last `count` blocks. rope: (patches, 2 x width) sines and cosines of an Eva's rotary positions."""

    def bind(block: nn.Module) -> Block:
        def run(tokens: Tensor, mask: Tensor | None) -> Tensor:
            if rope is None:
                return block(tokens, attn_mask=mask)
            added = tokens.shape[1] - network.num_prefix_tokens - len(rope)
            return block(tokens, rope=unturned(rope, added), attn_mask=mask)

        return run

    return [bind(block) for block in network.blocks[-count:]]


def unturned(rope: Tensor, added: int) -> Tensor:
    """Rotary positions with `added` more that rotate by nothing: sine 0, cosine 1."""
    half = rope.new_zeros(added, rope.shape[1] // 2)
    return torch.cat([rope, torch.cat([half, half + 1], dim=1)])
