"""Results of `twinsight evaluate`: stored in the run, shown in its report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.files import without_nan, write_text
from twinsight.quantities import PERCENT, SCORES, SYNONYM, Quantity, quantity
from twinsight.report.page import Section, Table
from twinsight.report.record import Record

FILE = "evaluations.json"


def keep(run: Path, measured: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Add an evaluation to RUN/evaluations.json, replacing one of exactly the same measurement.

    measured: what was measured, on which data and how; scores: name -> 0 to 1, NaN for undefined.
    """
    others = [one for one in read(run) if one["measured"] != measured]
    entry = {"measured": measured, "scores": without_nan(dict(scores))}
    write_text(run / FILE, json.dumps([*others, entry], indent=2) + "\n")


def read(run: Path) -> list[dict[str, Any]]:
    """All evaluations of a run, oldest first. Raises UserError if the file is damaged."""
    file = run / FILE
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [{"measured": dict(one["measured"]), "scores": dict(one["scores"])} for one in found]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: is damaged; remove it and run twinsight evaluate again") from error


def section(runs: Mapping[str, Record]) -> Section:
    """One run: a column per evaluation; several runs: a row per evaluation."""
    found = [(name, words(one["measured"]), one["scores"]) for name, run in runs.items() for one in read(run.folder)]
    keys = [key for key in dict.fromkeys(key for *_, scores in found for key in scores) if key != SYNONYM]
    titles = [quantity(key, SCORES).label for key in keys]
    cells = [[percent(scores.get(key)) for key in keys] for *_, scores in found]
    if len(runs) == 1:
        header = ("score", *(how for _, how, _ in found))
        rows = [[title, *column] for title, *column in zip(titles, *cells)]
    else:
        header = ("run", "measured", *titles)
        rows = [[name, how, *row] for (name, how, _), row in zip(found, cells)]
    note = "By `twinsight evaluate`, in percent. Missing: undefined, or not measured."
    return Section("Evaluations", parts=[Table(header, rows, note)] if found else [])


def words(measured: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in measured.items())


def percent(value: Any) -> str:
    return Quantity("", PERCENT).text(value) if isinstance(value, float | int) else str(value or "")
