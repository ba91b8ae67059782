"""The cross-correlation of two views' embeddings, which Barlow Twins drives to the identity, for any method."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import FigureBase
from matplotlib.image import AxesImage
from torch import Tensor

from twinsight.data.views import MultiView
from twinsight.errors import UserError
from twinsight.methods.method import is_method, projects
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import COLORS, Plot
from twinsight.probes.finding import Finding
from twinsight.probes.images import batches
from twinsight.probes.probe import Subject, effective_rank, inspecting
from twinsight.probes.views.crops import view_pairs

# Cyan is lightest, red is of medium lightness and -1 nearly black, so that they also differ in grayscale.
MATRIX = LinearSegmentedColormap.from_list("correlation", ["#0a0618", "#1f5a94", "#8ee9ec", "#f2b443", "#dd2418"])

DIAGONAL, OFF_DIAGONAL = COLORS[1], COLORS[0]


class Correlation:
    """How much the features of two views of an image agree, and how redundant features are.

    Cross-correlation as in Barlow Twins (Zbontar et al., 2021), over all images at once, of `model.project` for a
    method and of a backbone's embedding. Features that do not vary have no correlation: their rows and columns are 0.

    shown: maximum features in the figure, at least 1; the numbers use all. seed: for the augmentation.
    transform: makes the views, of which the first two are taken; default as for `AugmentedViews`.

    Figure "matrix", history "matrix": (shown, shown) float16. Numbers: "mean_diagonal"; "off_diagonal_rms";
    "noise_floor", 1 / sqrt(images), which is what the latter is for independent features; "dead_dimensions", the share
    of features that do not vary in either view; "effective_rank" of all embeddings, centered, at most the smaller of
    2 images - 1 and "dimensions". Raises UserError for fewer than 2 images or views and
    for embeddings that are not finite.
    """

    subject: ClassVar[Subject] = "method"
    caption: ClassVar = CAPTIONS["correlation"]

    def __init__(self, shown: int = 256, seed: int = 0, transform: MultiView | None = None):
        if shown < 1:
            raise UserError(f"--shown {shown}: is too few; give 1 or more")
        if seed < 0:
            raise UserError(f"--seed {seed}: is negative; give 0 or more")
        self.shown, self.seed, self.transform = shown, seed, transform

    @torch.inference_mode()
    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        views = view_pairs(model, self.transform, images, self.seed)
        with inspecting(model) as device:
            z1, z2 = (projections(model, view, device) for view in views)
        if not (z1.isfinite().all() and z2.isfinite().all()):
            raise UserError("model: its embeddings are not finite, so training has diverged; use an earlier checkpoint")
        c, dead = cross_correlation(z1, z2)
        matrix = c[: self.shown, : self.shown].numpy().copy()
        dim = len(c)
        both = torch.cat([z1, z2])
        numbers = {
            "mean_diagonal": c.diagonal().mean().item(),
            "off_diagonal_rms": c.fill_diagonal_(0).norm().item() / math.sqrt(dim * (dim - 1)) if dim > 1 else math.nan,
            "noise_floor": 1 / math.sqrt(len(images)),
            "dead_dimensions": dead.float().mean().item(),
            "effective_rank": effective_rank(both - both.mean(0)),
            "dimensions": float(dim),
        }
        plot = matrix_figure(matrix, numbers, len(images))
        return Finding(
            {"matrix": plot}, numbers, history={"matrix": matrix.astype(np.float16)}, names=self.caption.names
        )


def projections(model: Any, views: Sequence[Tensor], device: torch.device) -> Tensor:
    """(N, D) float64 on the CPU: a method's projections, or the embeddings of a backbone."""
    backbone = model.trunk if is_method(model) else model
    project = model.project if projects(model) else backbone
    return torch.cat([project(batch).float().cpu() for batch in batches(views, device)]).double()


def cross_correlation(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D), (N, D) -> (D, D) float32 in [-1, 1], and (D,) bool: the features that do not vary in either view."""
    scores: list[Tensor] = []
    dead = torch.zeros(z1.shape[1], dtype=torch.bool)
    for z in (z1, z2):
        deviation = z.std(0, correction=0)
        rounding = 1e-6 * z.abs().amax(0)  # rounding of a constant in float32
        still = (deviation <= 1e-4 * deviation.median()) | (deviation <= rounding)
        scores.append(((z - z.mean(0)) / deviation.where(~still, math.inf)).float())
        dead |= still
    return (scores[0].T @ scores[1] / len(z1)).clamp_(-1, 1), dead


def show_matrix(axis: Axes, matrix: np.ndarray) -> AxesImage:
    """The matrix in `MATRIX`'s colors; no pixel mixes features, which would fade the diagonal."""
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return axis.imshow(matrix.astype(np.float32), MATRIX, vmin=-1, vmax=1, interpolation="nearest")


def color_bar(figure: FigureBase, image: AxesImage, axes: Any, aspect: float = 25) -> None:
    bar: Any = figure.colorbar(image, ax=axes, ticks=[-1, 0, 1], aspect=aspect, pad=0.02, fraction=0.05)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def matrix_figure(matrix: np.ndarray, numbers: dict[str, float], images: int) -> Plot:
    """The matrix; beside it the numbers with what they should be, and how its values are distributed."""
    shown, dim, floor = len(matrix), int(numbers["dimensions"]), numbers["noise_floor"]
    title = f"first {shown} of {dim} features" if shown < dim else f"all {dim} features"
    lines = [
        ("diagonal, mean", f"{numbers['mean_diagonal']:.2f}", "goal 1"),
        ("off-diagonal, RMS", f"{numbers['off_diagonal_rms']:.2f}", f"goal 0, chance {floor:.2f}"),
        ("dead features", f"{100 * numbers['dead_dimensions']:.0f}%", "goal 0%"),
        ("effective rank", f"{numbers['effective_rank']:.1f}", f"at most {min(2 * images - 1, dim)}"),
    ]

    def draw(figure: FigureBase) -> None:
        parts: Any = figure.subfigures(1, 2, width_ratios=[1.25, 1])
        left, right = parts
        axis = left.subplots()
        color_bar(left, show_matrix(axis, matrix), axis)
        axis.set_title(f"Cross-correlation of two views, {title}", fontsize=9)
        axis.set_xlabel("feature of view 2", fontsize=8)
        axis.set_ylabel("feature of view 1", fontsize=8)
        above, below = right.subfigures(2, 1, height_ratios=[1, 2.4])
        words, histogram = above.subplots(), below.subplots()
        words.axis("off")
        for i, line in enumerate(lines):
            for x, text, weight in zip((0.06, 0.46, 0.63), line, ("normal", "bold", "normal")):
                words.text(x, 0.95 - 0.25 * i, text, weight=weight, fontsize=8, va="top")
        histogram.axvspan(-floor, floor, color="#dddddd", zorder=0, label=f"chance: ±{floor:.2f}")
        inside = np.eye(shown, dtype=bool)
        for name, where, color in (("diagonal", inside, DIAGONAL), ("off-diagonal", ~inside, OFF_DIAGONAL)):
            values = matrix[where]
            weights = np.full(len(values), 100 / max(1, len(values)))
            histogram.hist(
                values, 50, (-1, 1), weights=weights, histtype="stepfilled", color=color, alpha=0.75, label=name
            )
        for goal, color in ((1, DIAGONAL), (0, OFF_DIAGONAL)):
            histogram.axvline(goal, color=color, linestyle=":", linewidth=1.2)
        histogram.set(xlim=(-1.02, 1.02), xticks=[-1, -0.5, 0, 0.5, 1])
        histogram.set_xlabel("correlation; dotted: the goals", fontsize=8)
        histogram.set_ylabel("% of values", fontsize=8)
        histogram.tick_params(labelsize=8)
        below.legend(*histogram.get_legend_handles_labels(), loc="outside lower center", fontsize=7, ncols=3)

    return Plot(7.2, 3.5, draw)
