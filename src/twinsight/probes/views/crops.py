"""Augmented views: the crops, and each view with the transforms applied."""

from collections.abc import Sequence
from functools import partial
from textwrap import fill
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import FigureBase
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from torch import Tensor

from twinsight.data.color import LUMA
from twinsight.data.views import Box, MultiView, Params, View, two_views
from twinsight.errors import UserError
from twinsight.methods.method import is_method
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import PAGE, Plot, distinct_colors
from twinsight.probes.finding import Finding
from twinsight.probes.grids import Cell, drawn_of, pick, show
from twinsight.probes.images import pixels
from twinsight.probes.probe import Subject

LETTER = 0.054
"""Inches: mean width of a caption's letter."""

ROWS = 8
"""Maximum rows of the figure; more only if a single image has more draws."""

SMALL = 0.6
"""Width of a smaller view in the figure relative to a large one: not to scale, so that captions fit."""


class DrawnView(NamedTuple):
    """A view with the parameters that made it."""

    params: Params
    view: np.ndarray


class AugmentedViews:
    """Each image with its crops, then its views.

    transform: makes the views; by default the model's own `views()`, or for a model without them (or None) the two of
    BYOL and Barlow Twins at the images' size. draws: rows per image, at least 1. seed: for the augmentation.

    Figure "views". Numbers: "mean_iou" of the first two views' crops, NaN for a single view, and "mean_area" of those
    two as a share of the image; means over images and draws.
    """

    subject: ClassVar[Subject] = "method"
    caption: ClassVar = CAPTIONS["views"]

    def __init__(self, transform: MultiView | None = None, draws: int = 1, seed: int = 0):
        if draws < 1:
            raise UserError(f"--draws {draws}: is too few; give 1 or more")
        if seed < 0:
            raise UserError(f"--seed {seed}: is negative; give 0 or more")
        self.transform, self.draws, self.seed = transform, draws, seed

    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if not len(images):
            raise UserError("images: none given; give at least 1")
        pipelines = views_of(model, self.transform, images).views
        rows: list[tuple[np.ndarray, list[DrawnView]]] = []
        ious: list[float] = []
        areas: list[float] = []
        for i, image in enumerate(map(pixels, images)):
            rng = np.random.default_rng([self.seed, i])
            for _ in range(self.draws):
                made = [draw_view(view, image, rng) for view in pipelines]
                boxes = [params.box for params, _ in made[:2]]
                ious.append(iou(*boxes) if len(boxes) == 2 else np.nan)
                areas += [box.height * box.width / (image.shape[0] * image.shape[1]) for box in boxes]
                rows.append((image, made))
        numbers = {"mean_iou": float(np.mean(ious)), "mean_area": float(np.mean(areas))}
        chosen = pick(len(images), ROWS // self.draws)
        shown = [row for i in chosen for row in rows[i * self.draws : (i + 1) * self.draws]]
        figure = views_figure(shown, drawn_of(len(chosen), len(images)))
        return Finding({"views": figure}, numbers, names=self.caption.names)


def views_of(model: Any, transform: MultiView | None, images: Sequence[Tensor]) -> MultiView:
    """The given transform, else the method's own, else two views of at most 224 pixels."""
    if transform is not None:
        return transform
    if is_method(model):
        return model.views()
    return two_views(size=min(224, *(min(image.shape[1:]) for image in images)))


def view_pairs(model: Any, transform: MultiView | None, images: Sequence[Tensor], seed: int) -> list[list[Tensor]]:
    """The first two views of all images, two lists of (3, h, w) uint8, the same for the same seed; see `views_of`.

    Raises UserError for fewer than 2 images or views.
    """
    if len(images) < 2:
        raise UserError(f"images: {len(images)} given, too few to compare features; give at least 2")
    transform = views_of(model, transform, images)
    if len(transform.views) < 2:
        raise UserError("views: the transform makes only one; use a transform that makes at least two")
    drawn = [transform(pixels(image), np.random.default_rng([seed, i]))[:2] for i, image in enumerate(images)]
    return [[torch.from_numpy(view).permute(2, 0, 1) for view in same] for same in zip(*drawn)]


def draw_view(view: View, image: np.ndarray, rng: np.random.Generator) -> DrawnView:
    params = view.draw(rng, *image.shape[:2])
    return DrawnView(params, view.apply(image, params))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    height = max(0, min(a.top + a.height, b.top + b.height) - max(a.top, b.top))
    width = max(0, min(a.left + a.width, b.left + b.width) - max(a.left, b.left))
    return height * width / (a.height * a.width + b.height * b.width - height * width)


def applied(params: Params) -> str:
    """The transforms applied to a view besides its crop, in words and in order."""
    blur = "" if params.blur is None else f"blur\N{NO-BREAK SPACE}{params.blur:.1f}\N{NO-BREAK SPACE}px"
    done = {
        "flipped": params.flip,
        "jitter": params.jitter,
        "mixed": params.mix is not None,
        "inverted": params.invert,
        "gray": params.gray,
        blur: params.blur is not None,
        "solarized": params.solarize,
    }
    return ", ".join(name for name, there in done.items() if there) or "crop only"


def views_figure(rows: Sequence[tuple[np.ndarray, Sequence[DrawnView]]], note: str = "") -> Plot:
    """A row per image: the image with its crops, the views of the largest size, then the smaller ones in two lines."""
    sides = [view.shape[0] for _, view in rows[0][1]]
    large = [k for k, side in enumerate(sides) if side == max(sides)]
    small = [k for k, side in enumerate(sides) if side < max(sides)]
    columns = -(-len(small) // 2)
    # A large view's width in inches.
    unit = min(1.8, PAGE / (1 + len(large) + SMALL * columns))
    colors, title = distinct_colors(len(sides)), 9 if unit > 1.2 else 7

    def height(image: np.ndarray, drawn: Sequence[DrawnView]) -> float:
        first = unit * max(1.0, image.shape[0] / image.shape[1]) + text_height([drawn[k] for k in large], unit)
        below = [text_height([drawn[k] for k in line], SMALL * unit) for line in (small[:columns], small[columns:])]
        return max(first, 2 * SMALL * unit + sum(below) + 0.1 if small else 0)

    heights = [height(*row) for row in rows]

    def draw(figure: FigureBase) -> None:
        widths = [unit] * (1 + len(large)) + [SMALL * unit * columns] * bool(small)
        grid = figure.add_gridspec(len(rows), len(widths), width_ratios=widths, height_ratios=heights)
        for i, (image, drawn) in enumerate(rows):
            boxes = [params.box for params, _ in drawn]
            original = figure.add_subplot(grid[i, 0])
            framed(original, Cell(image, partial(mark_boxes, boxes=boxes, colors=colors)))
            if len(boxes) > 1:
                words = fill(f"IoU of 1 and 2: {iou(*boxes[:2]):.0%}", int(unit / LETTER))
                original.set_xlabel(words, fontsize=7, labelpad=2)
            places = {k: grid[i, 1 + j] for j, k in enumerate(large)}
            if small:
                lines = grid[i, -1].subgridspec(2, columns)
                places |= {k: lines[j // columns, j % columns] for j, k in enumerate(small)}
            for k, place in places.items():
                axis = figure.add_subplot(place)
                words = caption(drawn[k], unit if k in large else SMALL * unit)
                framed(axis, Cell(drawn[k].view, frame=colors[k], caption=words))
                tag(axis, k, colors[k], (0, 1), "axes fraction")
                if i == 0 and k in small[:1]:
                    axis.set_title(f"smaller views, {sides[k]} px", fontsize=title, loc="left")
                if i == 0 and k in large:
                    axis.set_title(f"view {k + 1}, {sides[k]} px" if unit > 0.9 else f"view {k + 1}", fontsize=title)
            if i == 0:
                original.set_title("crops", fontsize=title)
        if note:
            figure.legend(handles=[], title=note, title_fontsize=8, loc="outside lower center")

    return Plot(unit * (1 + len(large) + SMALL * columns), sum(heights) + 0.25 + 0.2 * bool(note), draw)


def caption(drawn: DrawnView, width: float) -> str:
    """The transforms of a view, in lines that fit `width` inches."""
    return fill(applied(drawn.params), int(width / LETTER))


def text_height(drawn: Sequence[DrawnView], width: float) -> float:
    """Height in inches of the longest caption of these views."""
    return 0.06 + 0.11 * max((caption(view, width).count("\n") + 1 for view in drawn), default=0)


def framed(axis: Axes, cell: Cell) -> None:
    """An image of any shape at the top of its place in a grid."""
    axis.grid(False)
    axis.set(xticks=[], yticks=[], anchor="N")
    axis.spines[:].set_visible(False)
    show(axis, cell, np.inf)


def mark_boxes(axis: Axes, boxes: Sequence[Box], colors: Sequence[str]) -> None:
    """Each crop's border, with numbers at different corners, so that similar boxes remain distinguishable."""
    for k, (top, left, height, width) in enumerate(boxes):
        right, down = ((0, 0), (1, 1), (1, 0), (0, 1))[k % 4]
        border = [Stroke(linewidth=2.6, foreground="white"), Normal()]
        corner = (left - 0.5, top - 0.5)
        axis.add_patch(
            Rectangle(corner, width, height, fill=False, color=colors[k], lw=1.5, clip_on=False, path_effects=border)
        )
        tag(axis, k, colors[k], (corner[0] + right * width, corner[1] + down * height), "data", (right, 1 - down))


def tag(axis: Axes, k: int, color: str, at: tuple[float, float], frame: str, side: tuple[int, int] = (0, 1)) -> None:
    """The view's number in its color, inside the corner `at`; side: the corner, (1 = right, 1 = top)."""
    axis.annotate(
        f"{k + 1}", at, (2 - 4 * side[0], 2 - 4 * side[1]), xycoords=frame, textcoords="offset points", fontsize=7,
        color="white" if np.array(to_rgb(color)) @ LUMA < 0.6 else "black",
        ha="right" if side[0] else "left", va="top" if side[1] else "bottom",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "none"},
    )  # fmt: skip
