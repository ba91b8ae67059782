"""The tables of a report: of one run, or of several side by side."""

import csv
import math
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.plain import read_text
from twinsight.probes.learning_curves import LearningCurves, lines
from twinsight.report.page import Fold, Section, Table
from twinsight.report.record import Record

MAIN = (
    "command", "data.name", "data.root", "backbone.name", "backbone.pretrained", "weights", "method.name", "head.name",
    "freeze", "loss", "epochs", "batch_size", "optimizer", "lr", "head_lr", "weight_decay", "seed",
)  # fmt: skip
"""The options that one asks for first."""


def overview(runs: Mapping[str, Record]) -> Section:
    """Of one run, its main options; of several, a row for each with what it came to and what differs."""
    if len(runs) == 1:
        (run,) = runs.values()
        rows = [(name, text(run.options[name])) for name in MAIN if run.options.get(name) is not None]
        return Section("What was run", parts=[Table(("option", "value"), rows)])
    everywhere = set.intersection(*(set(run.options) for run in runs.values())) | {*MAIN}
    options = [name for name in all_options(runs) if name in everywhere and differs(runs, name)]
    results = {run: summary(record) for run, record in runs.items()}
    columns = list(dict.fromkeys(name for result in results.values() for name in result))
    rows = [
        [name, *(results[name].get(c, "") for c in columns), *(text(run.options.get(o, "")) for o in options)]
        for name, run in runs.items()
    ]
    note = (
        "Scores in percent. A click on a column's name sorts by it. Of the options, those that differ and that all "
        "runs have; the others are among the settings in full."
    )
    return Section("What it came to, and what differs", parts=[Table(("run", *columns, *options), rows, note)])


def summary(run: Record) -> dict[str, str]:
    """The numbers of a run that go into one row."""
    numbers = LearningCurves(("train/loss", "val/mean_iou", "val/pixel_accuracy"))({"": run.rows}).numbers
    steps = {"steps": f"{run.rows[-1]['step'] + 1:.0f}"} if run.rows else {}
    return steps | {
        f"{name.split('/')[1].replace('_', ' ').replace('iou', 'IoU')}, {name.split('/')[2]}": number(name, value)
        for name, value in numbers.items()
    }


def scores(runs: Mapping[str, Record]) -> Section:
    """The last of every loss and score; of one run also the best score, and where that was."""
    names = dict.fromkeys(name for run in runs.values() for row in run.rows for name in row)
    found = {name: lines({run: record.rows for run, record in runs.items()}, name) for name in names}
    rows = []
    for name, of_runs in found.items():
        if of_runs and name.startswith(("val/", "train/")) and name != "train/lr":
            cells = [number(name, of_runs[run][1][-1]) if run in of_runs else "" for run in runs]
            for steps, values in of_runs.values() if len(runs) == 1 else ():
                best = int(values.argmax())
                cells += [number(name, values[best]), f"{steps[best]:.0f}"] if name.startswith("val/") else ["", ""]
            rows.append([name, *cells])
    header = ("number", "last", "best", "step of the best") if len(runs) == 1 else ("last number", *runs)
    note = "Those of val/ in percent: on data that is not trained on, but by which the best checkpoint is chosen."
    return Section("Final numbers", parts=[Table(header, rows, note)] if rows else [])


def per_class(runs: Mapping[str, Record]) -> Section:
    """Of one run, every measure; of several, the IoU with a column a run."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for name, run in runs.items():
        file = run.folder / "figures" / "classes" / "per-class.csv"
        if file.is_file():
            tables[name] = read_classes(file)
    if not tables:
        return Section("Classes")
    labels = list(dict.fromkeys(label for table in tables.values() for label in table))
    if len(runs) == 1:
        (table,) = tables.values()
        columns = list(next(iter(table.values()), {}))
        rows = [[label, *(in_percent(table[label][column]) for column in columns)] for label in labels]
        note = (
            "In percent, at the last validation; pixels: the class's share of them. Missing: the class occurs nowhere."
        )
        return Section("Classes", parts=[Table(("class", *columns), rows, note)])
    rows = [
        [label, *(in_percent(table.get(label, {}).get("iou", "")) for table in tables.values())] for label in labels
    ]
    note = (
        "IoU in percent, at the last validation of each run. Missing: the class occurs nowhere, or the run has it not."
    )
    return Section("Classes", parts=[Table(("class", *tables), rows, note)])


def numbers(runs: Mapping[str, Record], prefix: str) -> Table:
    """The first and the last value of what a probe has measured."""
    rows = []
    for name in dict.fromkeys(name for run in runs.values() for row in run.rows for name in row):
        if name.startswith(prefix):
            found = lines({run: record.rows for run, record in runs.items()}, name)
            ends = [f"{found[run][1][end]:.4g}" if run in found else "" for run in runs for end in (0, -1)]
            rows.append([name.removeprefix(prefix), *ends])
    header = [end if len(runs) == 1 else f"{run}, {end}" for run in runs for end in ("first", "last")]
    return Table(("number", *header), rows)


def settings(runs: Mapping[str, Record]) -> Section:
    rows = [[name, *(text(run.options.get(name, "")) for run in runs.values())] for name in all_options(runs)]
    header = ("option", *runs) if len(runs) > 1 else ("option", "value")
    return Section("Settings in full", parts=[Fold(f"All {len(rows)} options", [Table(header, rows)])])


def machines(runs: Mapping[str, Record]) -> Section:
    facts = dict.fromkeys(name for run in runs.values() for name in run.environment if name != "command")
    rows = [[name, *(run.environment.get(name, "") for run in runs.values())] for name in facts]
    header = ("", *runs) if len(runs) > 1 else ("", "version")
    return Section("Machine and versions", parts=[Table(header, rows)] if rows else [])


def number(name: str, value: float) -> str:
    return f"{100 * value:.1f}" if name.startswith("val/") else f"{value:.4g}"


def all_options(runs: Mapping[str, Record]) -> list[str]:
    """Those that come first in MAIN, then the others, as the runs have them."""
    known = dict.fromkeys(name for run in runs.values() for name in run.options)
    return [name for name in MAIN if name in known] + [name for name in known if name not in MAIN]


def differs(runs: Mapping[str, Record], name: str) -> bool:
    return len({text(run.options.get(name, "")) for run in runs.values()}) > 1


def text(value: Any) -> str:
    """An option as one would type it."""
    if isinstance(value, list):
        return " ".join(map(text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def read_classes(file: Path) -> dict[str, dict[str, str]]:
    """The row of each class. Raises UserError for what is no such table."""
    rows = {}
    try:
        for row in csv.DictReader(StringIO(read_text(file))):
            label = row.pop("class")
            rows[label] = row
            for cell in row.values():
                in_percent(cell)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: is no table of numbers for each class; remove it") from error
    return rows


def in_percent(cell: str) -> str:
    return "" if not cell or math.isnan(float(cell)) else f"{100 * float(cell):.1f}"
