"""Where the heads of a transformer look."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import Tensor

from twinsight.backbones.attention import Query
from twinsight.backbones.attention_maps import attention_maps, attention_rollout
from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import COLORS, Plot, distinct_colors, overlay
from twinsight.probes.finding import Finding
from twinsight.probes.grids import DRAWN, Cell, Scale, drawn_of, heat, image_grid, pick
from twinsight.probes.images import batches, over_image, pixels
from twinsight.probes.probe import Subject, inspecting

LINE = 8
"""Maximum heads side by side; more continue on further lines."""

LONGEST = 320
"""Pixels of an image's longer side in the figure: as many as a page shows."""


class Look(NamedTuple):
    """Attention on one image of (height, width) `size`: (heads, h, w) maps that cover `extent` pixels."""

    maps: Tensor
    extent: tuple[float, float]
    size: tuple[int, int]


def look_inside(maps: Tensor, extent: tuple[int, int], size: tuple[int, int]) -> Look:
    """Drop the patches that lie entirely outside the image."""
    patch = (extent[0] / maps.shape[1], extent[1] / maps.shape[2])
    h, w = math.ceil(size[0] / patch[0]), math.ceil(size[1] / patch[1])
    return Look(maps[:, :h, :w], (h * patch[0], w * patch[1]), size)


class Attention:
    """Attention maps of single blocks, and rollout through all (see `attention_maps`, `attention_rollout`).

    blocks: from 0, negative ones count from the last. query: "class", "mean" over patches, or "auto": the class token
    where there is one. at: (x, y), fractions of width and height in [0, 1): the query is the patch there.
    mass: fraction of a head's attention in its mask, above 0 to 1. rollout: also through all blocks.

    Figures "block12" (the twelfth) and "rollout". Numbers by the same name, each a mean over images:
    block12/entropy: of attention over the patches, divided by the logarithm of their number; 1 is uniform, 0 one patch;
    mean over the heads, and block12/head3/entropy for each. block12/diversity: Jensen-Shannon divergence of the heads,
    divided by the logarithm of their number; 0: all alike, 1: no patch in common. block12/mass_area: fraction of the
    patches that hold `mass`. block12/prefix_share: attention on class and register tokens, if there are any.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["attention"]

    def __init__(
        self,
        blocks: Sequence[int] = (-1,),
        query: Query = "auto",
        at: tuple[float, float] | None = None,
        mass: float = 0.6,
        rollout: bool = False,
    ):
        if not 0 < mass <= 1:
            raise UserError(f"--mass {mass:g}: is out of range; give a fraction above 0, up to 1")
        self.blocks = tuple(blocks)
        self.query: Query = query
        self.at, self.mass, self.rollout = at, mass, rollout

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        looks: dict[str, list[Look]] = {}
        with inspecting(model) as device:
            for batch in batches(images, device):
                found = attention_maps(model, batch, self.blocks, self.query, self.at)
                named = {f"block{block + 1}": maps for block, maps in zip(found.blocks, found.maps)}
                if self.rollout:
                    named["rollout"] = attention_rollout(model, batch, self.query, self.at)[:, None]
                size = (batch.shape[2], batch.shape[3])
                for name, maps in named.items():
                    looks.setdefault(name, []).extend(look_inside(one, found.extent, size) for one in maps.cpu())
        numbers: dict[str, float] = {}
        for name, some in looks.items():
            numbers |= {f"{name}/{what}": value for what, value in self.measure(some, model.prefix_tokens > 0).items()}
        return Finding(
            {name: self.draw(name, images, some) for name, some in looks.items()}, numbers, names=self.caption.names
        )

    def measure(self, looks: Sequence[Look], prefix: bool) -> dict[str, float]:
        each = [look.maps.double() for look in looks]
        entropies = torch.stack([normalized_entropy(maps) for maps in each]).mean(0)
        numbers = {
            "entropy": entropies.mean().item(),
            "diversity": float(np.mean([diversity(maps) for maps in each])),
            "mass_area": float(np.mean([mass_mask(maps, self.mass).double().mean() for maps in each])),
        }
        if prefix:
            numbers["prefix_share"] = float(np.mean([1 - look.maps.sum((1, 2)).mean() for look in looks]))
        if len(entropies) == 1:
            del numbers["diversity"]
            return numbers
        return numbers | {f"head{i}/entropy": entropy for i, entropy in enumerate(entropies.tolist(), start=1)}

    def draw(self, name: str, images: Sequence[Tensor], looks: Sequence[Look]) -> Plot:
        """One row per image: the image, the heads, their masks; masks go below if the heads take several lines."""
        heads = len(looks[0].maps)
        titles = [f"head {i + 1}" for i in range(heads)] if name != "rollout" else [name]
        entropies = torch.stack([normalized_entropy(look.maps) for look in looks]).mean(0)
        shown = sorted(entropies.argsort()[: len(COLORS)].tolist())  # more colors would be indistinguishable
        colors = dict(zip(shown, distinct_colors(len(shown))))
        lines = -(-heads // LINE)
        per_line = -(-heads // lines)
        masks_title = f"{self.mass:.0%} of it" if heads == 1 else f"{self.mass:.0%} of each"
        rows: list[list[Cell | None]] = []
        chosen = pick(len(images), DRAWN // lines)
        for image, look in ((images[i], looks[i]) for i in chosen):
            factor = min(1.0, LONGEST / max(look.size))
            width, height = max(1, round(look.size[1] * factor)), max(1, round(look.size[0] * factor))
            extent = (round(look.extent[0] * factor), round(look.extent[1] * factor))
            small = cv2.resize(pixels(image), (width, height), interpolation=cv2.INTER_AREA)
            ring = None if self.at is None else ringed(self.at, look, (height, width))
            large = over_image(look.maps, extent, (height, width), "nearest").numpy()
            cells = [Cell(heat(one), ring, caption=title if lines > 1 else "") for one, title in zip(large, titles)]
            painted = Cell(self.paint(small, look, extent, colors), ring)
            if lines == 1:
                rows.append([Cell(small, ring), *cells, painted])
                continue
            first = [Cell(small, ring, caption="image"), painted._replace(caption=masks_title), *[None] * (lines - 2)]
            rows += [[cell, *cells[i * per_line : (i + 1) * per_line]] for i, cell in enumerate(first)]
        legend = {titles[i]: color for i, color in colors.items()} if heads > 1 else None
        height, width = looks[0].maps.shape[1:]
        scale = Scale("magma", 0, 1, f"attention / maximum of the map; {height} x {width} patches")
        titles = ["image", *titles, masks_title] if lines == 1 else []
        return image_grid(rows, titles, legend=legend, scale=scale, note=drawn_of(len(chosen), len(images)))

    def paint(self, image: np.ndarray, look: Look, extent: tuple[int, int], colors: dict[int, str]) -> np.ndarray:
        """The heads' masks over the image; where they overlap, that of the head with the most attention there."""
        maps = look.maps[list(colors)]
        masks = mass_mask(look.maps, self.mass)[list(colors)]
        share = maps / maps.sum((1, 2), keepdim=True)
        size = (image.shape[0], image.shape[1])
        held = over_image(masks, extent, size, "nearest") > 0
        best, head = torch.where(held, over_image(share, extent, size, "nearest"), -1.0).max(0)
        labels = torch.where(best < 0, VOID, head).numpy().astype(np.uint8)
        palette = np.array([[round(255 * part) for part in to_rgb(color)] for color in colors.values()], np.uint8)
        return overlay(image, labels, palette, 0.65)


def mass_mask(maps: Tensor, mass: float) -> Tensor:
    """(..., h, w), not negative -> bool: the fewest patches of each map that hold `mass`, 0 to 1, of its sum.

    Among equal patches the first in reading order are taken. The sum is reached up to one part in a million (DINO's
    protocol: Caron et al., 2021).
    """
    ordered, order = maps.double().flatten(-2).sort(dim=-1, descending=True, stable=True)
    held = ordered.cumsum(-1)
    before = held - ordered
    needed = before < mass * held[..., -1:] * (1 - 1e-6)
    return torch.zeros_like(needed).scatter(-1, order, needed).unflatten(-1, maps.shape[-2:])


def normalized_entropy(maps: Tensor) -> Tensor:
    """(heads, h, w), not negative -> (heads,), 0 for one patch to 1 for all alike."""
    share = maps.flatten(1) / maps.sum((1, 2))[:, None]
    return torch.special.entr(share).sum(1) / math.log(max(2, share.shape[1]))


def diversity(maps: Tensor) -> float:
    """(heads, h, w) -> Jensen-Shannon divergence of the heads (Lin, 1991) / log(heads), 0 to 1; NaN for one head."""
    share = maps.flatten(1) / maps.sum((1, 2))[:, None]
    apart = torch.special.entr(share.mean(0)).sum() - torch.special.entr(share).sum(1).mean()
    return apart.item() / math.log(len(maps)) if len(maps) > 1 else math.nan


def ringed(at: tuple[float, float], look: Look, drawn: tuple[int, int]) -> Callable[[Axes], None]:
    """Draws a ring around the middle of the patch at `at`, on an image of `drawn` pixels."""
    middle: list[float] = []
    for share, side, n, whole, length in zip(at[::-1], look.size, look.maps.shape[1:], look.extent, drawn):
        patch = int(share * side / whole * n)
        middle.append(min((patch + 0.5) * whole / n, side) / side * length)

    def draw(axis: Axes) -> None:
        for color, line in (("black", 1.8), ("white", 0.9)):
            axis.plot(middle[1], middle[0], "o", markersize=7, markerfacecolor="none", markeredgecolor=color, mew=line)

    return draw
