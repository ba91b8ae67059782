"""Every figure's look, in one place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from twinsight.data.samples import VOID, Sample
from twinsight.errors import UserError

# Okabe & Ito's colors, told apart by color-blind eyes; black is kept for text.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")

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

FORMATS = (".png", ".pdf", ".svg", ".jpg")


def overlay(image: np.ndarray, mask: np.ndarray, palette: np.ndarray, opacity: float = 0.6) -> np.ndarray:
    """The mask's colors over the image, (H, W, 3) uint8; void and black (a background) leave the image as it is."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette)] = palette
    painted = colors[mask]
    mixed = (1 - opacity) * image + opacity * painted
    plain = (mask == VOID) | ~painted.any(axis=-1)
    return np.where(plain[..., None], image, mixed.round().astype(np.uint8))


def new_figure(width: float, height: float) -> Figure:
    """Inches. Constrained layout, so that no label is cut."""
    with rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save_figure(figure: Figure, file: Path, dpi: int = 160) -> None:
    """PNG, PDF, SVG or JPEG by the file's ending; written to a temporary name, then renamed."""
    if file.suffix.lower() not in FORMATS:
        raise UserError(f"{file}: unknown kind of figure; let the name end in {', '.join(FORMATS)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    with rc_context(STYLE):
        figure.savefig(temporary, dpi=dpi, format=file.suffix[1:].lower())
    temporary.replace(file)


def image_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
    legend: Mapping[str, np.ndarray] | None = None,
    side: float = 1.5,
) -> Figure:
    """Images in rows: titles above the columns, labels beside the rows, a legend of colors below.

    side: width of a cell in inches; its height follows the first image.
    """
    first = next(image for row in rows for image in row if image is not None)
    columns = max(len(row) for row in rows)
    aspect = first.shape[0] / first.shape[1]
    longest = max(map(len, legend), default=0) if legend else 0
    per_line = max(1, int(columns * side / (0.45 + 0.055 * longest)))  # inches: the color patch, then the letters
    lines = -(-len(legend) // per_line) if legend else 0
    height = len(rows) * side * aspect + 0.25 * bool(titles) + 0.17 * lines + 0.06 * len(rows)
    figure = new_figure(columns * side + 0.25 * bool(labels), height)
    with rc_context(STYLE):
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for i, row in enumerate(rows):
            for j, axis in enumerate(axes[i]):
                axis.grid(False)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                if j < len(row) and (image := row[j]) is not None:
                    axis.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest", aspect="auto")
            if labels:
                axes[i][0].set_ylabel(labels[i], fontsize=8)
        for axis, title in zip(axes[0], titles):
            axis.set_title(title, fontsize=9)
        if legend:
            patches = [
                Patch(facecolor="#{:02x}{:02x}{:02x}".format(*color), label=name) for name, color in legend.items()
            ]
            figure.legend(handles=patches, loc="outside lower center", ncols=min(per_line, len(patches)), fontsize=7)
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    return figure


def contact_sheet(samples: Sequence[Sample], classes: Sequence[str], palette: np.ndarray, columns: int = 8) -> Figure:
    """Images, each with its mask's colors over it beside it where there is one."""
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
    """Colors by class name, for those that a picture shows in a color (black is left out: see `overlay`)."""
    return {classes[label]: palette[label] for label in labels if palette[label].any()}


def letterbox(image: np.ndarray, aspect: float = 1.0, width: int = 240) -> np.ndarray:
    """The whole image amid a white (round(width * aspect), width, 3) canvas."""
    height = round(width * aspect)
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, log: bool = False) -> Figure:
    """Lines of (x values, y values), each with its name at its end."""
    figure = new_figure(4.6, 2.6)
    with rc_context(STYLE):
        axis = figure.subplots()
        for (name, (xs, ys)), color in zip(series.items(), COLORS * (1 + len(series) // len(COLORS))):
            axis.plot(xs, ys, color=color, label=name)
        axis.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
        if len(series) > 1:
            axis.legend(fontsize=8)
    return figure
