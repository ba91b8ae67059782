"""What a segmenter requires of a head."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

from torch import Tensor, nn

from twinsight.backbones.attention import Recorded
from twinsight.backbones.backbone import Features
from twinsight.backbones.last_blocks import LastBlocks
from twinsight.errors import UserError


class Head(Protocol):
    """An `nn.Module` with these members; `check_head` names a missing one.

    levels: ascending indices of the backbone's levels whose maps the head reads.
    """

    levels: Sequence[int]

    def __call__(self, features: Features) -> Tensor:
        """Maps of `levels`, in that order -> logits (B, classes, h, w) at any stride."""
        ...


class AttentionHead(Head, Protocol):
    """A head that also reads attention, as `features.attention`.

    attention: (blocks, query), the arguments `attention` and `query` of `Backbone.features`.
    """

    attention: tuple[tuple[int, ...], Recorded]


def reads_attention(head: object) -> TypeGuard[AttentionHead]:
    return hasattr(head, "attention")


class BlockHead(Protocol):
    """A head that runs the last blocks of a plain ViT itself, with tokens of its own; it has no `levels`.

    last_blocks: how many, 1 or more.
    """

    last_blocks: int

    def __call__(self, last: LastBlocks) -> Any:
        """Logits (B, classes, h, w) at any stride, or whatever its `loss` and `logits` take."""
        ...


class HeadWithLoss(Protocol):
    """A head whose outputs are not the logits of pixels: it makes those from them, and has a loss of its own."""

    def logits(self, outputs: Any) -> Tensor:
        """(B, classes, h, w) at any stride."""
        ...

    def loss(self, outputs: Any, masks: Tensor) -> Tensor:
        """masks: (B, H, W), void where images were padded -> a scalar."""
        ...


def runs_blocks(head: object) -> TypeGuard[BlockHead]:
    return hasattr(head, "last_blocks")


def has_loss(head: object) -> TypeGuard[HeadWithLoss]:
    return hasattr(head, "loss")


def check_head(module: nn.Module) -> None:
    """Raises UserError for a module that lacks a member of `Head`, or has one of the wrong type."""
    if runs_blocks(module):
        return
    name, levels = type(module).__name__, getattr(module, "levels", None)
    if not (isinstance(levels, list | tuple | range) and levels and all(isinstance(level, int) for level in levels)):
        raise UserError(
            f"--head: {name} lacks levels, the indices of the backbone's levels that it reads; set self.levels"
        )
    if list(levels) != sorted(set(levels)) or levels[0] < 0:
        raise UserError(f"--head: {name}.levels is {tuple(levels)}; set it to ascending indices from 0")
    attention = getattr(module, "attention", ((), "auto"))
    if not (isinstance(attention, tuple) and len(attention) == 2 and isinstance(attention[0], tuple)):
        raise UserError(f"--head: {name}.attention is not (blocks, query); set it to ((-1,), 'auto'), for instance")
