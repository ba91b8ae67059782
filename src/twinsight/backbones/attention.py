"""Attention maps: where the heads of a network look in its images."""

import shlex
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol

import torch
from torch import Tensor

from twinsight.backbones.attention_calls import Call, Windows, seeing_attention
from twinsight.errors import UserError

Query = Literal["auto", "class", "mean"]
"""Whose attention: the class token's, the mean over all patches, or auto: the class token's, the mean without one."""

Recorded = Query | Literal["patches"]
"""What can be recorded: a `Query`, or the attention of every patch."""

CHUNK = 64
"""Queries processed at a time when all are needed, to bound memory."""


class Attentive(Protocol):
    """What recording needs of a `Backbone`; see there."""

    name: str
    weights: str
    network: Any
    strides: tuple[int, ...]
    prefix_tokens: int
    multiple: int


class Reader:
    """Turns attention into maps over a batch of images; arguments as for `attention_maps`."""

    def __init__(self, backbone: Attentive, images: Tensor, query: Recorded, at: tuple[float, float] | None):
        self.name = backbone.name
        self.weights = backbone.weights
        self.batch, _, height, width = images.shape
        self.prefix = backbone.prefix_tokens
        self.extent = (height + -height % backbone.multiple, width + -width % backbone.multiple)
        grids = [(-(-self.extent[0] // stride), -(-self.extent[1] // stride)) for stride in backbone.strides]
        self.grids = {self.prefix + h * w: (h, w) for h, w in grids}
        registers = getattr(backbone.network, "reg_token", None)
        has_class = self.prefix > (0 if registers is None else registers.shape[1])
        if query not in ("auto", "class", "mean", "patches"):
            raise UserError(f"--query {query}: unknown; give auto, class or mean")
        if query == "class" and not has_class:
            raise UserError(f"--query class: {self.name} has no class token; give mean")
        if at is not None and not all(0 <= fraction < 1 for fraction in at):
            raise UserError(
                f"--at {at[0]:g} {at[1]:g}: outside the image; give fractions of its width and height, "
                "each at least 0 and below 1"
            )
        self.by_patch = query == "patches"
        self.by_class = has_class and query != "mean"
        self.one_row = not self.by_patch and (self.by_class or at is not None)
        self.at = None if at is None else (at[1] * height / self.extent[0], at[0] * width / self.extent[1])

    def refuse(self, why: str, remedy: str | None = None) -> NoReturn:
        remedy = remedy or f"see where it looks with: twinsight look erf --weights {shlex.quote(self.weights)}"
        raise UserError(f"--backbone {self.name}: {why}; {remedy}")

    def grid(self, call: Call) -> tuple[int, int]:
        """Height and width of the call's patches. Raises UserError if its tokens are not the image's patches."""
        windows = call.windows
        if len(call.shape) == 4 and call.shape[2] == call.shape[3]:
            if windows is None and call.shape[0] == self.batch and call.shape[3] in self.grids:
                return self.grids[call.shape[3]]
            if windows is not None and call.shape[0] == self.batch * windows.counts[0] * windows.counts[1]:
                return windows.grid
        self.refuse("its attention is not between patches of the image")

    def read(self, call: Call) -> Tensor:
        """(B, heads, h, w) float32; for "patches", (B, heads, h*w, h, w)."""
        h, w = self.grid(call)
        windows = call.windows
        if self.by_patch:
            rows = call.rows(slice(self.prefix, None))[..., self.prefix :]
            return (full_attention(windows, rows) if windows else rows).unflatten(-1, (h, w))
        if self.at is not None:
            row, column = int(self.at[0] * h), int(self.at[1] * w)
            window, token = windows.find(row, column) if windows else (0, self.prefix + row * w + column)
            rows = call.rows(slice(token, token + 1))[:, :, 0]
            if windows:
                elsewhere = torch.arange(len(rows), device=rows.device) % (len(rows) // self.batch) != window
                rows = rows.masked_fill(elsewhere[:, None, None], 0)
        elif self.by_class:
            rows = call.rows(slice(0, 1))[:, :, 0]
        else:
            chunks = (call.rows(slice(i, i + CHUNK)).sum(2) for i in range(self.prefix, call.shape[2], CHUNK))
            rows = sum(chunks, torch.zeros(())).div(call.shape[2] - self.prefix)
            rows = rows * self.batch / len(rows)  # divide by the number of windows
        return windows.join(rows) if windows else rows[..., self.prefix :].unflatten(-1, (h, w))


def full_attention(windows: Windows, rows: Tensor) -> Tensor:
    """Attention in windows (B * windows, heads, T, T) -> of all tokens (B, heads, h*w, h*w), 0 across windows."""
    h, w = windows.grid
    places = torch.tensor([windows.find(row, column) for row in range(h) for column in range(w)], device=rows.device)
    window, token = places.T
    parts = rows.unflatten(0, (-1, windows.counts[0] * windows.counts[1]))[:, window, :, token][..., token]
    return parts.movedim(0, 2) * (window[:, None] == window)


@dataclass
class AttentionMaps:
    """Recorded attention.

    blocks: their indices, from 0. maps: one (B, heads, h, w) float32 tensor per block; for "patches",
    (B, heads, h*w, h, w), one map per patch. extent: (height, width) in pixels that the maps cover, as in `Features`.
    """

    extent: tuple[int, int]
    blocks: list[int] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)


@contextmanager
def recording_attention(
    backbone: Attentive,
    images: Tensor,
    blocks: tuple[int, ...] | None = None,
    query: Recorded = "auto",
    at: tuple[float, float] | None = None,
) -> Generator[AttentionMaps]:
    """Records the one forward pass of `images` that runs inside; arguments, maps and errors as for `attention_maps`.

    query may also be "patches": one map per patch, so memory grows with the square of their number.
    The maps are available after the context ends, with gradients if enabled.
    """
    reader = Reader(backbone, images, query, at)
    found = AttentionMaps(reader.extent)
    read: dict[int, Tensor] = {}
    # Which blocks negative numbers mean is known only at the end, so the last calls are kept. A single row is read at
    # once, since it is smaller than queries and keys.
    last: deque[Call | Tensor] = deque(maxlen=max(0, -min(blocks or (0,))))
    count = 0

    def see(call: Call) -> None:
        nonlocal count
        reader.grid(call)
        if blocks is None or count in blocks:
            read[count] = reader.read(call)
        if last.maxlen:
            last.append(reader.read(call) if reader.one_row else call)
        count += 1

    with seeing_attention(backbone.network, see):
        yield found
    if not count:
        reader.refuse("has no attention to record")
    for block in range(count) if blocks is None else blocks:
        if not -count <= block < count:
            raise UserError(
                f"--blocks {block}: {reader.name} has {count} blocks with attention, 0 to {count - 1}; give "
                "one of them, or a negative number to count from the last"
            )
        found.blocks.append(block % count)
        kept = read[block] if block in read else last[block]
        found.maps.append(reader.read(kept) if isinstance(kept, Call) else kept)
