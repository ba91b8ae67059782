"""Learning curves from the rows of metrics.csv, one line per run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import COLORS, PAGE, Plot
from twinsight.probes.finding import Finding
from twinsight.quantities import PERCENT, SYNONYM, Names, Quantity, place, quantity, title

Rows = Sequence[Mapping[str, float]]

Points = tuple[np.ndarray, np.ndarray]
"""Steps and values."""

Lines = Mapping[str, Points]

MANY = 60
"""Minimum points of a smoothed line."""

COSTS = ("/seconds", "/share_of_time")
"""Costs of probes, not findings: not drawn."""


class LearningCurves:
    """A probe of the logs of runs instead of a model.

    scalars: draw and count only those whose names begin with one of these, such as "train/loss"; none for all. columns:
    maximum panels side by side.

    Figures, as far as there is anything to draw: "loss", every term of the training's loss; "rate", the peak learning
    rate; "scores", those of the validations in percent; "probe-NAME", the numbers of each probe that have changed. Of
    several runs, the last place of a network that a probe asks ("block12") stands for all. Numbers: "train/loss/last",
    and of each score "val/NAME/last" and "/best", the greatest; of several runs preceded by the run's name, in a
    column's letters.
    """

    caption: ClassVar = CAPTIONS["curves"]

    def __init__(self, scalars: Sequence[str] = (), columns: int = 3):
        self.scalars, self.columns = tuple(scalars), columns

    def __call__(self, runs: Mapping[str, Rows]) -> Finding:
        """runs: by name, the rows of metrics.csv (`read_rows`), empty for one that has not logged yet."""
        logged = dict.fromkeys(name for rows in runs.values() for row in rows for name in row)
        wanted = [name for name in logged if name.startswith(self.scalars or "") and not name.endswith(SYNONYM)]
        series = {name: found for name in wanted if (found := lines(runs, name))}
        panels: dict[str, dict[str, Lines]] = {"loss": {}, "rate": {}, "scores": {}}
        for name, found in series.items():
            group = "rate" if name == "train/lr" else {"train": "loss", "val": "scores"}.get(name.split("/")[0])
            if group is not None:
                what = quantity(name, self.caption.names)
                panels[group][what.title] = in_unit(found, what)
        measured = [name for name in series if name.startswith("probe/") and not name.endswith(COSTS)]
        for probe in dict.fromkeys(name.split("/")[1] for name in measured):
            prefix = f"probe/{probe}/"
            inner = {name.removeprefix(prefix): series[name] for name in measured if name.startswith(prefix)}
            panels[f"probe-{probe}"] = moving((by_measure if len(runs) == 1 else by_run)(inner, names_of(probe)))
        figures = {
            name: small_multiples(
                panel, list(runs), self.columns, smoothed=name == "loss", log=name in ("loss", "rate")
            )
            for name, panel in panels.items()
            if panel
        }
        return Finding(figures, numbers(series, list(runs)), names=self.caption.names)


def lines(runs: Mapping[str, Rows], name: str) -> dict[str, Points]:
    """A scalar of each run that has it, without NaN (nothing to measure)."""
    found: dict[str, Points] = {}
    for run, rows in runs.items():
        points = [(row["step"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
        if points:
            steps, values = np.array(points).T
            found[run] = steps, values
    return found


def in_unit(lines: Lines, what: Quantity) -> Lines:
    factor = 100 if what.unit == PERCENT else 1
    return {name: (steps, factor * values) for name, (steps, values) in lines.items()}


def names_of(probe: str) -> Names:
    return CAPTIONS[probe].names if probe in CAPTIONS else {}


def moving(panels: Mapping[str, Lines]) -> dict[str, Lines]:
    """Panels with a line that varies: a constant belongs in a table, not in a curve."""
    return {title: lines for title, lines in panels.items() if any(np.ptp(values) > 0 for _, values in lines.values())}


def by_measure(series: Mapping[str, Lines], names: Names) -> dict[str, Lines]:
    """Of one run: a panel for each measure, a line for each place."""
    panels: dict[str, dict[str, Points]] = {}
    for key, found in series.items():
        what = quantity(key, names)
        panels.setdefault(what.title, {})[place(key)] = next(iter(in_unit(found, what).values()))
    return dict(panels)


def by_run(series: Mapping[str, Lines], names: Names) -> dict[str, Lines]:
    """Of several runs: a panel for each measure, a line for each run, at the last place of a network that it has; but
    a panel for each class, none of which can stand for all.
    """
    panels: dict[str, dict[str, Points]] = {}
    last: dict[str, dict[str, str]] = {}
    for key, found in series.items():
        what, is_class = quantity(key, names), key.startswith("class/")
        panel = title(key, names) if is_class else what.title
        panels.setdefault(panel, {}).update(in_unit(found, what))
        last.setdefault(panel, {}).update({} if is_class else dict.fromkeys(found, place(key)))
    where = {panel: " or ".join(filter(None, dict.fromkeys(of_runs.values()))) for panel, of_runs in last.items()}
    return {f"{where[panel]}: {panel}" if where[panel] else panel: lines for panel, lines in panels.items()}


def small_multiples(panels: Mapping[str, Lines], runs: Sequence[str], columns: int, smoothed: bool, log: bool) -> Plot:
    """One panel per scalar; a line has the same color in all of them, named in a legend below."""
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    ordered = not set(names) <= set(runs)
    known = names if ordered else runs  # a run has its color in every figure
    looks = {name: look(i, len(known), ordered) for i, name in enumerate(known)}
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = (PAGE / 3 * columns, 1.85 * rows) if columns > 1 else (3.6, 2.1 * rows)
    per_line = max(1, int(width / (0.5 + 0.065 * max(map(len, names)))))
    legend = names if len(known) > 1 else []

    def draw(figure: FigureBase) -> None:
        whole: Any = figure
        whole.get_layout_engine().set(h_pad=0.06)  # keeps titles clear of the ticks above them
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, (heading, lines) in zip(axes, panels.items()):
            for name, (steps, values) in lines.items():
                line(axis, steps, values, looks[name], smoothed and len(values) >= MANY)
            steps, values = np.concatenate([*map(np.stack, lines.values())], axis=1)
            decorate(axis, heading, steps, values, log)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        for axis in axes[max(0, len(panels) - columns) : len(panels)]:  # the lowest of each column
            axis.set_xlabel("step", fontsize=8)
        if legend:
            handles = [Line2D([], [], label=f" {name}", **looks[name]) for name in legend]  # "_a" would not be shown
            box = figure.legend(
                handles=handles, loc="outside lower center", ncols=min(per_line, len(names)), fontsize=7
            )
            for text in box.get_texts():
                text.set_parse_math(False)

    return Plot(width, height + 0.18 * -(-len(legend) // per_line), draw)


def decorate(axis: Axes, title: str, steps: np.ndarray, values: np.ndarray, log: bool) -> None:
    """A logarithmic scale, if requested, requires values that are all positive and span at least two ticks."""
    axis.set_title(title, fontsize=8, parse_math=False)
    axis.tick_params(labelsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    if np.ptp(steps) == 0:
        axis.set_xticks(steps[:1])
    if log and values.min() > 0 and values.max() > 5 * values.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 100 * values.min() else (1,)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


def look(i: int, count: int, ordered: bool) -> dict[str, Any]:
    """Color and dashes of the i-th line: along a colormap for the places of one network, else distinct."""
    if ordered and count > 1:
        return {"color": to_hex(colormaps["viridis"](0.9 * i / (count - 1)))}
    return {"color": COLORS[i % len(COLORS)], "linestyle": ("-", "--", ":", "-.")[i // len(COLORS) % 4]}


def line(axis: Axes, steps: np.ndarray, values: np.ndarray, look: Mapping[str, Any], smoothed: bool) -> None:
    if smoothed:
        axis.plot(steps, values, alpha=0.25, linewidth=0.6, **look)
        values = smooth(values, len(values) // 15)
    axis.plot(steps, values, marker="o" if len(values) < 20 else None, markersize=3, linewidth=1.3, **look)


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """(N,) -> (N,): the mean over the nearest `window` points, fewer toward the ends, without a lag."""
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")


def numbers(series: Mapping[str, Lines], runs: Sequence[str]) -> dict[str, float]:
    found = {}
    for name, of_runs in series.items():
        for run, (_, values) in of_runs.items():
            prefix = (
                f"{''.join(c if c.isascii() and c.isalnum() else '-' for c in run.lower())}/" if len(runs) > 1 else ""
            )
            if name == "train/loss" or name.startswith("val/"):
                found[f"{prefix}{name}/last"] = float(values[-1])
            if name.startswith("val/"):
                found[f"{prefix}{name}/best"] = float(values.max())
    return found
