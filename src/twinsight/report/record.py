"""A run directory as read for a report."""

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.options.config import flat
from twinsight.plain import read_text, read_yaml
from twinsight.report.embed import KINDS
from twinsight.runs.rows import read_rows

FIGURE = re.compile(r"(?P<name>.+?)(?:-(?P<step>\d{7,}))?")


@dataclass(frozen=True)
class Record:
    """A run directory as read for a report.

    options: config.yaml, nested names joined by dots. environment: facts by name; "command" is the command line that
    started the run. rows: of metrics.csv, empty if nothing is logged yet.
    """

    folder: Path
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    rows: list[dict[str, float]]

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Raises UserError if this is not a run directory, or a damaged one."""
        config = folder / "config.yaml"
        options = read_yaml(config) if config.is_file() else None
        if not isinstance(options, dict) or not isinstance(options.get("command"), str):
            raise UserError(
                f"{folder}: is not a run directory; name one made by `twinsight pretrain` or `twinsight segment`"
            )
        facts = folder / "environment.txt"
        lines = read_text(facts).splitlines() if facts.is_file() else []
        environment = {name: fact for name, _, fact in (line.partition(": ") for line in lines)}
        metrics = folder / "metrics.csv"
        rows = read_rows(metrics) if metrics.is_file() else []
        return cls(folder, flat(options), environment, rows)

    @cached_property
    def figures(self) -> dict[str, dict[str, dict[int, Path]]]:
        """Files by probe, name and step; step -1 for figures that span steps. Names in natural order."""
        found: dict[str, dict[str, dict[int, Path]]] = {}
        for file in sorted(self.folder.glob("figures/*/*"), key=lambda file: natural(file.name)):
            match = FIGURE.fullmatch(file.stem)
            if match and file.suffix.lower() in KINDS and not file.name.startswith("."):
                steps = found.setdefault(file.parent.name, {}).setdefault(match["name"], {})
                steps[int(match["step"] or -1)] = file
        return found


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts block2 before block12."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def read_classes(file: Path) -> dict[str, dict[str, str]]:
    """The row of each class. Raises UserError if this is not such a table."""
    rows, text = {}, read_text(file)
    try:
        for row in csv.DictReader(StringIO(text)):
            label = row.pop("class")
            rows[label] = row
            for cell in row.values():
                in_percent(cell)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: is not a table of numbers per class; delete it to report without it") from error
    return rows


def in_percent(cell: str) -> str:
    return "" if not cell or math.isnan(float(cell)) else f"{100 * float(cell):.1f}"
