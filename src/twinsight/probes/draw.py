"""The style of all figures: sizes, colors, curves."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.files import as_path, whole
from twinsight.probes.dark import NOTE, picture_boxes

# Okabe & Ito's colors, then Tol's muted ones, distinct for color-blind readers; black is reserved for text.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442",
    "#882255", "#332288", "#999933", "#44AA99", "#999999",
)  # fmt: skip

PAGE = 7.2
"""Inches: the text width of a paper, the maximum for a grid of images."""

DPI = 200

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

PALE = np.linspace(70, 255, 256).round().astype(np.uint8)
"""Shades of gray below an overlay."""

FORMATS = (".png", ".pdf", ".svg", ".jpg")


def overlay(image: np.ndarray, mask: np.ndarray, palette: np.ndarray, opacity: float = 0.6) -> np.ndarray:
    """The mask's colors over the image in pale gray, with borders in full color; (H, W, 3) uint8.

    Colors of the image would look like classes, and black would hide those. Where the mask is void or black (a
    background), the gray image shows.
    """
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette)] = palette
    shown: np.ndarray = colors.max(axis=1) > 0
    shown[VOID] = False
    gray = cv2.cvtColor(cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), PALE), cv2.COLOR_GRAY2RGB)
    mask = np.ascontiguousarray(mask, np.uint8)
    painted = colors[mask]
    mixed = cv2.addWeighted(gray, 1 - opacity, painted, opacity, 0)
    width = 1 + 2 * max(1, round(max(mask.shape) / 500))
    border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((width, width), np.uint8)) > 0
    np.copyto(mixed, painted, where=border[..., None])
    np.copyto(mixed, gray, where=~shown[mask][..., None])
    return mixed


@dataclass(frozen=True)
class Plot:
    """A figure to be drawn, alone or as part of another.

    width, height: inches. draw: puts its axes, titles and legend on a matplotlib Figure or SubFigure.
    """

    width: float
    height: float
    draw: Callable[[FigureBase], None]

    def figure(self) -> Figure:
        """Constrained layout, so that no label is cut."""
        with rc_context(STYLE):
            figure = Figure(figsize=(self.width, self.height), layout="constrained", facecolor="white")
            engine: Any = figure.get_layout_engine()
            engine.set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
            self.draw(figure)
        return figure

    def save(self, file: str | Path, dpi: int = DPI) -> None:
        """PNG, PDF, SVG or JPEG by the file's ending; written whole or not at all."""
        file = as_path("file", file)
        check_format(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole(file) as stream, rc_context(STYLE):
            if file.suffix.lower() == ".png":
                self.write_png(stream, dpi)
            else:
                self.figure().savefig(stream, dpi=dpi, format=file.suffix[1:].lower())

    def write_png(self, stream: IO[bytes], dpi: int) -> None:
        """Write a PNG that records where its pictures are, for dark pages (see `probes.dark`)."""
        figure = self.figure()
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        note = PngInfo()
        note.add_text(NOTE, json.dumps(picture_boxes(figure, canvas.get_renderer())))
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "png", dpi=(dpi, dpi), pnginfo=note)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, alt: str = "") -> str:
        """For a notebook, as WebP: a fifth of a PNG's size with photographs."""
        png, webp = BytesIO(), BytesIO()
        with rc_context(STYLE):
            self.write_png(png, 110)
        Image.open(png).save(webp, "webp", quality=85)
        return f'<img alt="{escape(alt)}" src="data:image/webp;base64,{b64encode(webp.getvalue()).decode()}">'


def check_format(file: Path) -> None:
    """Raises UserError for a file name without a known figure format."""
    if file.suffix.lower() not in FORMATS:
        raise UserError(f"{file}: unknown figure format; use a name ending in {', '.join(FORMATS)}")


def beside(plots: Mapping[str, Plot]) -> Plot:
    """Plots of the same kind under their names: wide ones stacked, others in a row."""
    if len(plots) == 1:
        return next(iter(plots.values()))
    width = max(plot.width for plot in plots.values())
    wide = any(plot.width > 1.3 * plot.height for plot in plots.values())
    columns = 1 if wide else min(len(plots), max(1, int(2 * PAGE // width)))
    rows = -(-len(plots) // columns)
    title = 0.22
    heights = [
        title + max(p.height for p in list(plots.values())[i * columns : (i + 1) * columns]) for i in range(rows)
    ]

    def draw(figure: FigureBase) -> None:
        parts: Any = figure.subfigures(rows, columns, squeeze=False, height_ratios=heights)
        for part, (name, plot) in zip(parts.flat, plots.items()):
            plot.draw(part)
            part.suptitle(name, fontsize=10, fontweight="bold")

    return Plot(width * columns, sum(heights), draw)


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, log: bool = False) -> Plot:
    """Lines of (x values, y values), named in a legend."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        for (name, (xs, ys)), color in zip(series.items(), distinct_colors(len(series))):
            axis.plot(xs, ys, color=color, label=name, marker="o" if len(xs) == 1 else None)
        axis.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
        if len(series) > 1:
            axis.legend(fontsize=8)

    return Plot(4.6, 2.6, draw)


def distinct_colors(count: int) -> list[str]:
    """Colors distinct for color-blind readers, repeated if there are more lines than colors."""
    return [COLORS[i % len(COLORS)] for i in range(count)]
