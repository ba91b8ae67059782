"""metrics.csv: every number that a run logs, one row a step."""

import csv
import math
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.reading import read_text


class MetricsCsv(Logger):
    """Appends rows of (step, name, value...) and survives a resume: rows past the resumed step are dropped.

    (Lightning's CSVLogger deletes what a directory holds when a run is resumed.)
    """

    def __init__(self, file: Path):
        super().__init__()
        self.file = file
        self.rows = {row["step"]: row for row in read_rows(file)} if file.exists() else {}
        self.resumed = bool(self.rows)

    name = version = property(lambda self: None)  # type: ignore[assignment] (Lightning asks for both; a file has none)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's options are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": float(step or 0)} | {name: float(value) for name, value in metrics.items()}
        if self.resumed:
            self.rows = {old: kept for old, kept in self.rows.items() if old < row["step"]}
            self.resumed = False
        self.rows[row["step"]] = self.rows.get(row["step"], {}) | row

    def history(self) -> list[dict[str, float]]:
        """All rows so far, in the order of their steps: a step's loss is told after what was seen behind it."""
        return [self.rows[step] for step in sorted(self.rows)]

    @rank_zero_only
    def save(self) -> None:
        rows = self.history()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [columns] + [[f"{row[name]:.6g}" if name in row else "" for name in columns] for row in rows]
        write_text(self.file, "".join(",".join(line) + "\n" for line in lines))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()


def read_rows(file: Path) -> list[dict[str, float]]:
    """One dictionary per row, empty cells left out. Raises UserError for what is no table of numbers by step."""
    reader = csv.DictReader(StringIO(read_text(file)))
    rows = []
    try:
        for row in reader:
            rows.append({name: float(value) for name, value in row.items() if value})
            if not math.isfinite(rows[-1]["step"]):
                raise ValueError
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{file}: line {reader.line_num} is no row of numbers with a step; remove it") from error
    return rows
