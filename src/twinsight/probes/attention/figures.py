"""Figures of attention scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.patches import Rectangle
from torch import Tensor

from twinsight.probes.attention.tally import Scored
from twinsight.probes.dark import KEPT
from twinsight.probes.draw import COLORS, PAGE, Plot

LOOKS = {  # the rows compared: color, marker, dashes
    "model": (COLORS[0], "o", "-"),
    "untrained": (COLORS[1], "s", "--"),
    "random": (COLORS[2], "^", ":"),
    "center": (COLORS[3], "D", "-."),
}

MOST_CLASSES = 30
"""Maximum rows of the figure of classes."""

LEGIBLE = 16
"""Maximum heads side by side with legible numbers."""

COLUMNS = {
    "best_head_jaccard": "best\nhead",
    "best_head_pointing": "point-\ning",
    "information": "infor-\nmation",
    "entropy": "entropy",
    "diversity": "diver-\nsity",
}
"""All in percent."""


def heads_figure(blocks: Mapping[str, Scored], rows: Mapping[str, Scored], region: str) -> Plot:
    """A row per block: the Jaccard of its heads in colors, then its numbers; below, the baselines of the last block."""
    beside = {name: row for name, row in rows.items() if name != "model"}
    heads = max(len(row.jaccard) for row in [*blocks.values(), *beside.values()])
    greatest = max(0.1, *(float(row.jaccard.nan_to_num().max()) for row in [*blocks.values(), *beside.values()]))
    lines = [(i + 0.0, name.replace("block", "block "), row) for i, (name, row) in enumerate(blocks.items())]
    lines += [(len(blocks) + 0.4 + i, name, row) for i, (name, row) in enumerate(beside.items())]
    first = heads + 0.2  # the left edge of the numbers
    wide = max(1.0, heads / 10)  # a column of numbers, in cells

    def cell(axis: Axes, x: float, y: float, value: float) -> None:
        color = colormaps["cividis"](value / greatest)
        axis.add_patch(Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", linewidth=0.8, gid=KEPT))
        if heads <= LEGIBLE:
            ink = "black" if np.dot(color[:3], (0.2126, 0.7152, 0.0722)) > 0.45 else "white"
            axis.text(x + 0.5, y + 0.5, number(value), ha="center", va="center", fontsize=7, color=ink)

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        for y, _, row in lines:
            for x, value in enumerate(row.jaccard.tolist()):
                cell(axis, x, y, value)
            for i, what in enumerate(COLUMNS):
                text = number(row.numbers()[what])
                axis.text(first + (i + 0.5) * wide, y + 0.5, text, ha="center", va="center", fontsize=8)
        axis.set(xlim=(0, first + len(COLUMNS) * wide), ylim=(lines[-1][0] + 1, 0))
        axis.set_yticks([y + 0.5 for y, _, _ in lines], [name for _, name, _ in lines], fontsize=8)
        titles = [f"{i + 1}" if heads <= LEGIBLE or i % 4 == 0 else "" for i in range(heads)]
        axis.xaxis.tick_top()
        axis.set_xticks([i + 0.5 for i in range(heads)], titles, fontsize=8)
        for i, title in enumerate(COLUMNS.values()):
            axis.text(first + (i + 0.5) * wide, -0.15, title, ha="center", va="bottom", fontsize=8)
        title = f"Jaccard of each head with {region},\nin percent: dark 0, bright {100 * greatest:.0f}"
        axis.set_title(title, fontsize=9, loc="left", pad=34)
        axis.tick_params(length=0)
        axis.grid(False)
        axis.spines[:].set_visible(False)

    return Plot(min(PAGE, 1.2 + 0.42 * (first + len(COLUMNS) * wide)), 1.1 + 0.22 * (lines[-1][0] + 1), draw)


def number(value: float) -> str:
    """A fraction in whole percent; a dash for NaN."""
    return "–" if np.isnan(value) else f"{100 * value:.0f}"


def masses_figure(rows: Mapping[str, Scored], masses: Sequence[float], mass: float) -> Plot:
    """The Jaccard of the best head against the fraction of attention in its mask."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        axis.axvline(100 * mass, color="#999999", linewidth=0.8)
        for name, row in rows.items():
            color, marker, dashes = LOOKS[name]
            values = 100 * row.masses.numpy()
            axis.plot(
                100 * np.array(masses), values, color=color, linestyle=dashes, marker=marker, markersize=3.5, label=name
            )
        axis.set(xlim=(0, 100), ylim=(0, None))
        axis.set_xlabel(f"attention that the mask holds, % (line: {100 * mass:g})", fontsize=8)
        axis.set_ylabel("Jaccard of the best head, %", fontsize=8)
        axis.tick_params(labelsize=8)
        figure.legend(loc="outside lower center", ncols=len(rows), fontsize=8)

    return Plot(4.6, 3.1, draw)


def classes_figure(
    rows: Mapping[str, Scored], classes: tuple[str, ...], pixels: Tensor, background: int | None, mass: float
) -> Plot:
    """The Jaccard of the best head with each class's region; of many classes, those with the most pixels.

    pixels: (C,), pixels of each class over all images.
    """
    there: list[int] = [i for i in pixels.argsort(descending=True).tolist() if pixels[i] > 0 and i != background][
        :MOST_CLASSES
    ]
    there.sort(key=rows["model"].classes.tolist().__getitem__, reverse=True)
    y = np.arange(len(there))

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        handles: list[Any] = []
        for name, row in rows.items():
            color, marker, _ = LOOKS[name]
            values = 100 * row.classes[there].numpy()
            if name == "model":
                handles.append(axis.barh(y, values, 0.6, color=color, alpha=0.35, label=name))
            else:
                handles += axis.plot(values, y, linestyle="", color=color, marker=marker, markersize=4.5, label=name)
        axis.set_yticks(y, [classes[i] for i in there], fontsize=8)
        axis.set(ylim=(len(there) - 0.4, -0.6), xlim=(0, None))
        axis.set_xlabel(f"Jaccard of the best head, %, at {mass:.0%} of the attention", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(False, axis="y")
        figure.legend(handles=handles, loc="outside lower center", ncols=len(rows), fontsize=8)

    return Plot(4.6, 0.9 + 0.2 * max(1, len(there)), draw)
