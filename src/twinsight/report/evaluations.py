"""What `twinsight evaluate` measured of a run: kept in the run, shown on its page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.files import without_nan, write_text
from twinsight.report.page import Section, Table
from twinsight.report.record import Record

FILE = "evaluations.json"


def keep(run: Path, measured: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Add an evaluation to RUN/evaluations.json, in place of one that measured the very same.

    measured: what was measured on what and how, in words and numbers; scores: name -> 0 to 1, NaN for undefined.
    """
    others = [one for one in read(run) if one["measured"] != measured]
    entry = {"measured": measured, "scores": without_nan(dict(scores))}
    write_text(run / FILE, json.dumps([*others, entry], indent=2) + "\n")


def read(run: Path) -> list[dict[str, Any]]:
    """All evaluations of a run, the oldest first. Raises UserError if the file is damaged."""
    file = run / FILE
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [{"measured": dict(one["measured"]), "scores": dict(one["scores"])} for one in found]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: is damaged; remove it and run twinsight evaluate again") from error


def section(runs: Mapping[str, Record]) -> Section:
    """One row per evaluation, of one run or of several."""
    rows = []
    for name, run in runs.items():
        for one in read(run.folder):
            how = ", ".join(f"{key} {value}" for key, value in one["measured"].items())
            rows.append([*([name] if len(runs) > 1 else []), how, *map(one["scores"].get, columns(runs))])
    header = (*(["run"] if len(runs) > 1 else []), "measured", *(name.replace("_", " ") for name in columns(runs)))
    note = "By `twinsight evaluate`, in percent. Missing: undefined, or not measured."
    cells = [[percent(value) for value in row] for row in rows]
    return Section("Evaluations", parts=[Table(header, cells, note)] if rows else [])


def columns(runs: Mapping[str, Record]) -> Sequence[str]:
    """The names of all scores, in the order in which they were first measured."""
    return list(dict.fromkeys(name for run in runs.values() for one in read(run.folder) for name in one["scores"]))


def percent(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f}" if isinstance(value, float | int) else str(value)
