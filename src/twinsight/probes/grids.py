"""Images in rows and columns, each with its title, scale or legend."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase
from matplotlib.patches import Patch

from twinsight.data.samples import VOID, Sample
from twinsight.probes.dark import KEPT
from twinsight.probes.draw import PAGE, Plot, overlay

DRAWN = 12
"""Maximum images in a figure with a row for each: as many as fit on a screen or two."""


class Cell(NamedTuple):
    """An image of a grid with the drawings over and around it.

    image: (H, W, 3) uint8. marks: draws on the axes, in the image's pixels. frame: color of a border.
    caption: small text below.
    """

    image: np.ndarray
    marks: Callable[[Axes], None] | None = None
    frame: str | None = None
    caption: str = ""


class Scale(NamedTuple):
    """The color scale of a heat map: colormap, the values at its ends, and a label."""

    colormap: str
    low: float
    high: float
    label: str


def heat(
    values: np.ndarray, colormap: str = "magma", low: float | None = None, high: float | None = None
) -> np.ndarray:
    """(H, W) -> (H, W, 3) uint8 in the colormap, from `low` (default: 0 or the least) to `high` (the greatest)."""
    low = min(0.0, float(values.min())) if low is None else low
    high = float(values.max()) if high is None else high
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return (colormaps[colormap](share.clip(0, 1))[..., :3] * 255).round().astype(np.uint8)


def image_grid(
    rows: Sequence[Sequence[np.ndarray | Cell | None]],
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
    legend: Mapping[str, Any] | None = None,
    scale: Scale | None = None,
    side: float = 1.5,
    note: str = "",
) -> Plot:
    """Images in rows: titles above the columns, labels beside the rows; below, a legend of colors, a color scale and a
    note.

    legend: name -> (3,) uint8 or any matplotlib color. side: width of a cell in inches, less where the grid would be
    wider than a page; a row's height follows its tallest image.
    """
    cells = [[Cell(cell) if isinstance(cell, np.ndarray) else cell for cell in row] for row in rows]
    columns = max(len(row) for row in cells)
    side = min(side, (PAGE - 0.25 * bool(labels)) / columns)
    tallest = [max(cell.image.shape[0] / cell.image.shape[1] for cell in row if cell is not None) for row in cells]
    captions = [max(cell.caption.count("\n") + 1 if cell and cell.caption else 0 for cell in row) for row in cells]
    heights = [side * aspect + 0.15 * lines + 0.03 for aspect, lines in zip(tallest, captions)]
    width = columns * side + 0.25 * bool(labels)
    longest = max(map(len, legend), default=0) if legend else 0
    per_line = max(1, int(width / (0.45 + 0.06 * longest)))  # inches: the color patch, then the letters
    lines = -(-len(legend) // per_line) if legend else 0
    title_lines = max((title.count("\n") + 1 for title in titles), default=0)
    below = 0.18 * lines + 0.06 * bool(legend) + 0.45 * bool(scale) + 0.2 * bool(note)
    small = 9 if side > 1.0 else 8

    def draw(figure: FigureBase) -> None:
        axes = figure.subplots(len(cells), columns, squeeze=False, height_ratios=heights)
        for i, row in enumerate(cells):
            for j, axis in enumerate(axes[i]):
                axis.grid(False)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                if j < len(row) and (cell := row[j]) is not None:
                    show(axis, cell, tallest[i])
            if labels:
                axes[i][0].set_ylabel(labels[i], fontsize=8)
        for axis, title in zip(axes[0], titles):
            axis.set_title(title, fontsize=small)
        if scale:
            norm = Normalize(scale.low, scale.high)
            bar: Any = figure.colorbar(
                ScalarMappable(norm, scale.colormap), ax=axes, location="bottom", fraction=0.03, aspect=40,
                shrink=min(1.0, 3.0 / width), pad=0.02,
            )  # fmt: skip
            bar.set_label(scale.label, fontsize=8)
            bar.ax.tick_params(labelsize=7)
            bar.outline.set_visible(False)
        if legend or note:
            patches = [Patch(facecolor=as_color(color), label=name) for name, color in (legend or {}).items()]
            place: Any = {"loc": "outside lower center", "ncols": min(per_line, max(1, len(patches)))}
            box = figure.legend(handles=patches, title=note or None, fontsize=8, title_fontsize=8, **place)
            for patch in box.get_patches():
                patch.set_gid(KEPT)

    return Plot(width, sum(heights) + 0.19 * title_lines + below + 0.05, draw)


def pick(count: int, most: int = DRAWN) -> list[int]:
    """Indices of the images that a figure shows: at most `most`, evenly spaced, including first and last."""
    return np.linspace(0, count - 1, min(count, max(1, most))).round().astype(int).tolist()


def drawn_of(shown: int, count: int) -> str:
    """A note for a figure that does not show all images."""
    return f"{shown} of {count} images are drawn, evenly chosen" if shown < count else ""


def show(axis: Axes, cell: Cell, aspect: float) -> None:
    """An image on its axes; if its aspect ratio differs from its row's (height / width), it keeps its own."""
    height, width = cell.image.shape[:2]
    alike = abs(height / width / aspect - 1) < 0.02
    axis.imshow(cell.image, interpolation="nearest" if width < 64 else "auto", aspect="auto" if alike else "equal")
    if cell.marks is not None:
        cell.marks(axis)
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    if cell.frame is not None:
        axis.spines[:].set(visible=True, color=cell.frame, linewidth=2)
    if cell.caption:
        axis.set_xlabel(cell.caption, fontsize=7, labelpad=2)


def as_color(color: Any) -> Any:
    """(3,) uint8 as a matplotlib color; matplotlib's own colors unchanged."""
    return "#{:02x}{:02x}{:02x}".format(*color) if isinstance(color, np.ndarray) else color


def contact_sheet(samples: Sequence[Sample], classes: Sequence[str], palette: np.ndarray, columns: int = 8) -> Plot:
    """Images, each with its mask overlay beside it if it has a mask."""
    aspect = float(np.median([image.shape[0] / image.shape[1] for image, _, _ in samples]))
    cells: list[np.ndarray] = []
    present: set[int] = set()
    for image, mask, _ in samples:
        cells.append(letterbox(image, aspect))
        if mask is not None:
            present |= set(np.unique(mask).tolist()) - {VOID}
            cells.append(letterbox(overlay(image, mask, palette), aspect))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    return image_grid(rows, legend=class_legend(sorted(present), classes, palette), side=1.3)


def class_legend(labels: Sequence[int], classes: Sequence[str], palette: np.ndarray) -> dict[str, np.ndarray]:
    """Colors by class name, for the classes shown in color (black is left out: see `overlay`)."""
    return {classes[label]: palette[label] for label in labels if palette[label].any()}


def letterbox(image: np.ndarray, aspect: float = 1.0, width: int = 240) -> np.ndarray:
    """The whole image in the middle of a white (round(width * aspect), width, 3) canvas."""
    height = round(width * aspect)
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas
