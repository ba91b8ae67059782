"""The tables of a report on one run or several."""

from collections.abc import Mapping
from typing import Any

from twinsight.probes.captions import CAPTIONS
from twinsight.probes.learning_curves import COSTS, LearningCurves, lines
from twinsight.quantities import ALARM, SCORES, SYNONYM, Names, place, quantity
from twinsight.report.page import Fold, Section, Table
from twinsight.report.record import Record, in_percent, read_classes

MAIN = (
    "command", "data.name", "data.root", "backbone.name", "backbone.pretrained", "weights", "method.name", "head.name",
    "freeze", "loss", "epochs", "batch_size", "optimizer", "lr", "head_lr", "weight_decay", "seed",
)  # fmt: skip
"""The most important options, listed first."""


NAMES = CAPTIONS["curves"].names


def overview(runs: Mapping[str, Record]) -> Section:
    """One run: its main options; several: a row each with results and differing options."""
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
        "Scores in percent. Click a column's name to sort by it. Only options that all runs have and that differ are "
        'listed; the others are under "Settings in full".'
    )
    return Section("Results, and what differs", parts=[Table(("run", *columns, *options), rows, note)])


def summary(run: Record) -> dict[str, str]:
    """The numbers of a run for its row."""
    numbers = LearningCurves(("train/loss", "val/mean_iou", "val/pixel_accuracy"))({"": run.rows}).numbers
    found = {"steps": f"{run.rows[-1]['step'] + 1:.0f}"} if run.rows else {}
    for key, value in numbers.items():
        name, _, which = key.rpartition("/")
        what = quantity(name, NAMES)
        found[f"{what.title} ({which})"] = what.text(value)
    return found


def scores(runs: Mapping[str, Record]) -> Section:
    """The last value of each loss and score; for one run also the best score and its step."""
    logged = dict.fromkeys(name for run in runs.values() for row in run.rows for name in row)
    kept = [name for name in logged if name.startswith(("val/", "train/")) and not name.endswith(("/lr", SYNONYM))]
    validated = any(name.startswith("val/") for name in kept)
    rows: list[list[str]] = []
    for name in sorted(kept, key=lambda name: name.startswith("train/")):
        of_runs, what = lines({run: record.rows for run, record in runs.items()}, name), quantity(name, NAMES)
        if not of_runs:
            continue
        cells = [what.text(of_runs[run][1][-1]) if run in of_runs else "" for run in runs]
        for steps, values in of_runs.values() if len(runs) == 1 and validated else ():
            best = int(values.argmax())
            cells += [what.text(values[best]), f"{steps[best]:.0f}"] if name.startswith("val/") else ["", ""]
        rows.append([what.title, *cells])
    best = ("best", "step of the best") if validated else ()
    header = ("number", "last", *best) if len(runs) == 1 else ("last", *runs)
    note = "Scores are on the validation images, by which the best checkpoint is chosen." if validated else ""
    return Section("Scores" if validated else "Losses", parts=[Table(header, rows, note)] if rows else [])


def per_class(runs: Mapping[str, Record]) -> Section:
    """One run: every measure; several: the IoU, one column per run."""
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
        return Section(
            "Classes", parts=[Table(("class", *(quantity(column, SCORES).label for column in columns)), rows, note)]
        )
    rows = [
        [label, *(in_percent(table.get(label, {}).get("iou", "")) for table in tables.values())] for label in labels
    ]
    note = "IoU in percent, at the last validation of each run. Missing: the class occurs nowhere, or the run lacks it."
    return Section("Classes", parts=[Table(("class", *tables), rows, note)])


def numbers(runs: Mapping[str, Record], probe: str, names: Names) -> Table:
    """The first and the last value of each number of a probe."""
    prefix = f"probe/{probe}/"
    rows: list[list[str]] = []
    for key in dict.fromkeys(key for run in runs.values() for row in run.rows for key in row):
        if key.startswith(prefix) and not key.endswith(COSTS):
            found = lines({run: record.rows for run, record in runs.items()}, key)
            name = key.removeprefix(prefix)
            what = quantity(name, names)
            if what.unit == ALARM:
                continue  # shown in words in the probe's figure
            ends = [what.text(found[run][1][end]) if run in found else "" for run in runs for end in (0, -1)]
            rows.append([place(name), what.title, *ends])
    where = any(row[0] for row in rows)
    header = [end if len(runs) == 1 else f"{run}, {end}" for run in runs for end in ("first", "last")]
    return Table((*(["where"] if where else []), "number", *header), rows if where else [row[1:] for row in rows])


def settings(runs: Mapping[str, Record]) -> Section:
    rows = [[name, *(text(run.options.get(name, "")) for run in runs.values())] for name in all_options(runs)]
    header = ("option", *runs) if len(runs) > 1 else ("option", "value")
    return Section("Settings in full", parts=[Fold(f"All {len(rows)} options", [Table(header, rows)])])


def machines(runs: Mapping[str, Record]) -> Section:
    facts = dict.fromkeys(name for run in runs.values() for name in run.environment if name != "command")
    rows = [[name, *(run.environment.get(name, "") for run in runs.values())] for name in facts]
    header = ("", *runs) if len(runs) > 1 else ("", "version")
    return Section("Machine and versions", parts=[Table(header, rows)] if rows else [])


def all_options(runs: Mapping[str, Record]) -> list[str]:
    """Those in MAIN first, then the others in the runs' order."""
    known = dict.fromkeys(name for run in runs.values() for name in run.options)
    return [name for name in MAIN if name in known] + [name for name in known if name not in MAIN]


def differs(runs: Mapping[str, Record], name: str) -> bool:
    return len({text(run.options.get(name, "")) for run in runs.values()}) > 1


def text(value: Any) -> str:
    """An option's value as typed."""
    if isinstance(value, list):
        return " ".join(map(text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
