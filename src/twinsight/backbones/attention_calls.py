"""Observes each attention that a network computes, fused kernels included, without changing the computation."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from twinsight.layers import full_precision

SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


class Windows(NamedTuple):
    """How a Swin block splits its tokens: shifted up and left, padded below and right to whole windows.

    grid: height and width in tokens. size: that of a window. shift: in rows and columns.
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    shift: tuple[int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """Number of windows vertically and horizontally."""
        return -(-self.grid[0] // self.size[0]), -(-self.grid[1] // self.size[1])

    def find(self, row: int, column: int) -> tuple[int, int]:
        """Index of the window that holds a token of the grid, and the token's index within it."""
        row, column = (row - self.shift[0]) % self.grid[0], (column - self.shift[1]) % self.grid[1]
        window = row // self.size[0] * self.counts[1] + column // self.size[1]
        return window, row % self.size[0] * self.size[1] + column % self.size[1]

    def join(self, maps: Tensor) -> Tensor:
        """(B * windows, heads, tokens per window) -> (B, heads, h, w), without the padding."""
        parts = maps.unflatten(-1, self.size).unflatten(0, (-1, *self.counts)).permute(0, 3, 1, 4, 2, 5)
        whole = parts.flatten(4, 5).flatten(2, 3)[..., : self.grid[0], : self.grid[1]]
        return whole.roll(self.shift, (-2, -1))


class Call(NamedTuple):
    """One attention of a forward pass, before dropout.

    shape: (B, heads, queries, keys); with windows, the first is B * windows.
    rows: slice of queries -> (B, heads, those queries, keys) float32, summing to 1 over the keys.
    """

    shape: tuple[int, ...]
    rows: Callable[[slice], Tensor]
    windows: Windows | None = None


def fused(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None,
) -> Call:  # fmt: skip
    """The attention that `F.scaled_dot_product_attention` computes with the same arguments."""
    shape = (*query.shape[:-1], key.shape[-2])
    factor = query.shape[-1] ** -0.5 if scale is None else scale

    def rows(queries: slice) -> Tensor:
        with full_precision(query.device):
            logits = query[..., queries, :].float() * factor @ key.float().mT
            mask = attn_mask
            if is_causal:
                mask = torch.ones(shape[-2:], dtype=torch.bool, device=query.device).tril()
            if mask is not None:
                mask = mask.expand(*mask.shape[:-2], *shape[-2:])[..., queries, :]
                logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
            return torch.special.softmax(logits, -1)  # not one of SOFTMAX: an enclosing recorder would see that

    return Call(shape, rows)


class AttentionMode(TorchFunctionMode):
    """Passes each attention that this thread computes to `see`, whether fused or a softmax over (B, heads, N, M)."""

    def __init__(self, see: Callable[[Call], None]):
        super().__init__()
        self.see = see
        self.windows: Windows | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self.note(fused(*args, **kwargs))
        elif func in SOFTMAX and result.ndim == 4 and kwargs.get("dim", [*args, None, None][1]) in (-1, 3):

            def rows(queries: slice) -> Tensor:
                return result[:, :, queries].float()

            self.note(Call(tuple(result.shape), rows))
        return result

    def note(self, call: Call) -> None:
        batch, _, queries, keys = call.shape if len(call.shape) == 4 else (0, 0, 0, 0)
        if batch and queries == 1 < keys:
            return  # a class or latent token that pools the patches is not a block of the trunk
        windows, self.windows = self.windows, None
        self.see(call._replace(windows=windows))

    def enter_windows(self, module: Any, args: tuple[Any, ...]) -> None:
        """Runs before a Swin block, which takes (B, h, w, C)."""
        self.windows = Windows(tuple(args[0].shape[1:3]), module.window_size, module.shift_size)


@contextmanager
def seeing_attention(network: nn.Module, see: Callable[[Call], None]) -> Generator[None]:
    """Inside, `see` gets each `Call` of the network's blocks, in order. All hooks are removed at the end."""
    mode = AttentionMode(see)
    windowed = [
        module for module in network.modules() if hasattr(module, "window_size") and hasattr(module, "shift_size")
    ]
    hooks = [module.register_forward_pre_hook(mode.enter_windows) for module in windowed]
    try:
        with mode:
            yield
    finally:
        for hook in hooks:
            hook.remove()
