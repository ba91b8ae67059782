"""The cross-correlation matrix over a training: a strip of snapshots above its curves, and an animation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import FigureBase
from PIL import Image

from twinsight.errors import UserError
from twinsight.files import whole
from twinsight.probes.draw import COLORS, PAGE, Plot
from twinsight.probes.views.correlation import DIAGONAL, MATRIX, OFF_DIAGONAL, color_bar, show_matrix

PREFIX = "probe/correlation/"
"""Prefix of `Correlation`'s numbers in metrics.csv."""

SNAPSHOTS, FRAMES, SHOWN = 8, 60, 256

Rows = Sequence[Mapping[str, float]]
"""As in metrics.csv: "step" and what was logged at it."""


class Curve(NamedTuple):
    """A number over time: its name in the rows, its label, color and target value."""

    name: str
    label: str
    color: str
    goal: float | None = None


PANELS: dict[str, list[Curve]] = {
    "correlation": [
        Curve(f"{PREFIX}mean_diagonal", "diagonal", DIAGONAL, 1),
        Curve(f"{PREFIX}off_diagonal_rms", "off-diagonal RMS", OFF_DIAGONAL, 0),
        Curve(f"{PREFIX}dead_dimensions", "dead features", COLORS[3]),
        Curve(f"{PREFIX}noise_floor", "chance", "#888888"),
    ],
    "effective rank": [Curve(f"{PREFIX}effective_rank", "effective rank", COLORS[2])],
    "training loss": [Curve("train/loss", "training loss", "#000000")],
}


def strip(matrices: Mapping[int, np.ndarray], rows: Rows) -> Plot:
    """At most 8 matrices, (D, D) by step, evenly spaced including first and last, above curves of all rows.

    The first 256 features are shown. Curves: mean diagonal and off-diagonal RMS with their goals and what chance gives,
    the share of dead features, the effective rank, and the training's loss ("train/loss"), as far as the rows have
    them. Raises UserError if there is no matrix, or no row with the mean diagonal.
    """
    steps = evenly(matrices, SNAPSHOTS)
    panels = panels_of(rows)
    across = min(4, len(steps))
    down = -(-len(steps) // across)
    height = down * (PAGE / 4 + 0.1)

    def draw(figure: FigureBase) -> None:
        parts: Any = figure.subfigures(2, 1, height_ratios=[height, 2.2])
        above, below = parts
        axes = above.subplots(down, across, squeeze=False)
        images = [show_matrix(axis, matrices[step][:SHOWN, :SHOWN]) for axis, step in zip(axes.flat, steps)]
        for axis, step in zip(axes.flat, steps):
            axis.set_title(f"step {step:,}", fontsize=8)
        for axis in axes.flat[len(steps) :]:
            axis.axis("off")
        color_bar(above, images[0], axes)
        for axis, panel in zip(below.subplots(1, len(panels), squeeze=False).flat, panels):
            draw_panel(axis, panel, rows)
            when: Any = {"transform": axis.get_xaxis_transform(), "clip_on": False, "color": "black", "markersize": 6}
            axis.plot(steps, [0] * len(steps), "|", **when)
            add_names(axis, panel)

    return Plot(PAGE, height + 2.2, draw)


def animate(matrices: Mapping[int, np.ndarray], file: Path, rows: Rows = (), seconds_per_frame: float = 0.4) -> None:
    """A GIF of at most 60 matrices with their step; the last one stays five times as long.

    matrices, rows, and what is raised: as for `strip`; beside a matrix stand the curves up to its step and their values
    there, without rows the matrix is alone. Written to a temporary name, then renamed.
    """
    if seconds_per_frame < 0.02:
        raise UserError(f"--seconds-per-frame {seconds_per_frame}: is too short for browsers; give 0.02 or more")
    steps = evenly(matrices, FRAMES)
    panels = panels_of(rows) if rows else []
    updates: list[Callable[[int], object]] = []

    def draw(figure: FigureBase) -> None:
        parts: Any = figure.subfigures(1, 1 + bool(panels), squeeze=False, width_ratios=[1.25, 1][: 1 + bool(panels)])
        left, right = parts[0, 0], parts[0, -1]
        axis = left.subplots()
        image = show_matrix(axis, matrices[steps[-1]][:SHOWN, :SHOWN])
        color_bar(left, image, axis)
        axis.set_title("step", fontsize=10)
        updates.append(lambda step: image.set_data(matrices[step][:SHOWN, :SHOWN].astype(np.float32)))
        updates.append(lambda step: axis.set_title(f"step {step:,}", fontsize=10))
        places = right.subplots(len(panels), 1, squeeze=False).flat if panels else ()
        for place, panel in zip(places, panels):
            updates.append(moving_panel(place, panel, rows))
            updates[-1](steps[-1])

    figure = Plot(6.4 if panels else 3.7, 3.4, draw).figure()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # laid out once: frames do not jump, and are drawn several times as fast
    palette = gif_palette()
    frames: list[Image.Image] = []
    for step in steps:
        for update in updates:
            update(step)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        frames.append(picture.quantize(palette=palette, dither=Image.Dither.NONE))
    duration = [round(1000 * seconds_per_frame)] * (len(frames) - 1) + [round(5000 * seconds_per_frame)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as stream:
        frames[0].save(stream, format="GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def gif_palette() -> Image.Image:
    """Few colors, since noise in many would double the file: those of the matrix and of the curves with their edges."""
    inks = [MATRIX(x)[:3] for x in np.linspace(0, 1, 33)]
    pure = sorted({curve.color for curves in PANELS.values() for curve in curves})
    tints = [1 - share * (1 - np.array(to_rgb(color))) for color in pure for share in (0.12, 0.4, 0.7, 1)]
    image = Image.new("P", (1, 1))
    image.putpalette((255 * np.array([(1, 1, 1), *inks, *tints])).round().astype(np.uint8).tobytes())
    return image


def draw_panel(axis: Axes, panel: str, rows: Rows, **look: Any) -> None:
    """A panel's curves and goals."""
    for name, label, color, goal in PANELS[panel]:
        if goal is not None:
            axis.axhline(goal, color=color, linestyle=":", linewidth=1.2)
        steps, values = track(rows, name)
        if steps:
            axis.plot(steps, values, color=color, label=label, **look)
    axis.tick_params(labelsize=7)
    axis.locator_params(axis="x", nbins=4)
    axis.set_xlabel("step", fontsize=8, labelpad=1)
    if len(PANELS[panel]) > 1:
        axis.set_ylim(-0.05, 1.05)


def add_names(axis: Axes, panel: str) -> None:
    """Names of the curves, above them."""
    if len(PANELS[panel]) > 1:
        place: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
        axis.legend(fontsize=7, ncols=2, columnspacing=1, handlelength=1, frameon=False, **place)
    else:
        axis.set_title(axis.get_legend_handles_labels()[1][0], fontsize=8)


def moving_panel(axis: Axes, panel: str, rows: Rows) -> Callable[[int], None]:
    """Draw the panel with pale curves; the returned function draws them up to a step, with their values there."""
    draw_panel(axis, panel, rows, linewidth=0.8, alpha=0.4)
    for line in axis.lines:
        line.set_label("_pale")  # matplotlib omits such labels from a legend
    lines = [axis.plot([], [], "o-", color=curve.color, markersize=4, markevery=[-1])[0] for curve in PANELS[panel]]

    def update(step: int) -> None:
        for line, (name, label, _, _) in zip(lines, PANELS[panel]):
            steps, values = track(rows, name)
            if not steps:
                continue
            now = float(np.interp(step, steps, values))
            past = sum(earlier < step for earlier in steps)
            line.set_data([*steps[:past], step], [*values[:past], now])
            line.set_label(f"{label} {now:.2f}" if abs(now) < 10 else f"{label} {now:,.0f}")
        add_names(axis, panel)

    return update


def panels_of(rows: Rows) -> list[str]:
    """The panels for which the rows have numbers."""
    if not track(rows, PANELS["correlation"][0].name)[0]:
        raise UserError(f"metrics: no row has {PREFIX}mean_diagonal; train with --probe correlation")
    return [panel for panel, curves in PANELS.items() if any(track(rows, curve.name)[0] for curve in curves)]


def evenly(matrices: Mapping[int, np.ndarray], most: int) -> list[int]:
    """At most `most` evenly spaced steps in order, including the first and the last."""
    if not matrices:
        raise UserError("snapshots: there is no matrix; train with --probe correlation")
    steps = sorted(matrices)
    return [steps[i] for i in np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int)]


def track(rows: Rows, name: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows that have this number."""
    there = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in there], [value for _, value in there]
