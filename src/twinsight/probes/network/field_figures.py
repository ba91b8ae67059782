"""Figures of receptive fields."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import FigureBase
from matplotlib.patches import Circle

from twinsight.probes.draw import PAGE, Plot
from twinsight.probes.network.field_shape import Shape, mass_within

GAMMA = 0.25
"""Exponent of the color scale: with a square root, a transformer's wide, thin tails would still be black."""


def field_strip(fields: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], title: str = "") -> Plot:
    """The fields side by side, 8 in a row, under a title."""
    columns = min(8, len(fields))
    rows = -(-len(fields) // columns)
    side = min(1.6, PAGE / columns)
    height, width = next(iter(fields.values())).shape
    titles = {name: broken(name, int(side * 72 / 4.2)) for name in fields}  # 4.2 points per letter at size 7
    lines = max(title.count("\n") + 1 for title in titles.values())

    def draw(figure: FigureBase) -> None:
        if title:
            figure.suptitle(title, fontsize=8)
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, (name, field) in zip(axes.flat, fields.items()):
            axis.set_axis_on()
            axis.set_title(titles[name], fontsize=7, pad=3)
            half, most = shapes[name].radius50, shapes[name].radius95
            axis.set_xlabel(f"50%: {half:.0f} px\n95%: {most:.0f} px", fontsize=7, labelpad=2)
            if most < min(height, width) / 14:
                show(axis, field)
                share = 0.42 * min(height, width)
                lens = axis.inset_axes((1 - share / width, 0, share / width, share / height))
                show(lens, field, shapes[name])
                (y, x), reach = shapes[name].center, max(2, 1.2 * most)
                lens.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
                lens.spines[:].set(visible=True, color="white", linewidth=0.6)
            else:
                show(axis, field, shapes[name])
        scale = ScalarMappable(PowerNorm(GAMMA, 0, 1), "magma")
        bar: Any = figure.colorbar(scale, ax=axes, location="bottom", fraction=0.03, aspect=40, shrink=0.42, pad=0.02)
        bar.set_ticks([0, 0.01, 0.1, 1], labels=["0", "0.01", "0.1", "1"], fontsize=7)
        bar.set_label("gradient / its maximum (fourth-root scale)", fontsize=8)
        bar.outline.set_visible(False)

    tall = rows * (side * height / width + 0.3 + 0.12 * lines) + 0.45 + (0.2 if title else 0)
    return Plot(columns * side, tall, draw)


def show(axis: Axes, field: np.ndarray, shape: Shape | None = None) -> None:
    """A field, with its circles if its shape is given."""
    axis.imshow(field, "magma", norm=PowerNorm(GAMMA, 0, field.max() or 1))
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if shape is not None:
        for radius, line in ((shape.radius50, "-"), (shape.radius95, (0, (3, 2)))):
            axis.add_patch(
                Circle((shape.center[1], shape.center[0]), radius, fill=False, color="#56B4E9", lw=0.8, ls=line)
            )


def profiles(fields: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Plot:
    """Fraction of each field within a radius; the first layer is darkest."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        for i, (name, field) in enumerate(fields.items()):
            radii, within = mass_within(field, shapes[name].center)
            color = colormaps["viridis"](0.92 * i / max(1, len(fields) - 1))
            grid = np.geomspace(0.5, radii[-1], 200)
            reached = np.searchsorted(radii, grid, side="right")
            axis.plot(grid, np.append(0, within)[reached] * 100, color=color, label=broken(name, 40))
        for share in (50, 95):
            axis.axhline(share, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
        axis.set(xscale="log", xlabel="distance from the centroid in pixels", ylabel="mass within in %", ylim=(0, 101))
        axis.xaxis.set_major_formatter("{x:g}")
        figure.legend(loc="outside right upper", fontsize=7)

    return Plot(PAGE, max(2.6, 0.4 + 0.16 * len(fields)), draw)


def broken(name: str, width: int) -> str:
    """Break a name after dots into as few and as even lines of at most `width` letters as possible.

    The middle of a longer part is cut out.
    """
    parts = re.findall(r"[^.]+\.?", name)
    parts = [p if len(p) <= width else f"{p[: (width - 1) // 2]}…{p[-(width // 2) :]}" for p in parts]

    def fill(width: int) -> list[str]:
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1] + part) > width:
                lines.append("")
            lines[-1] += part
        return lines

    return "\n".join(min(map(fill, range(width, 0, -1)), key=lambda lines: (len(lines), max(map(len, lines)))))
