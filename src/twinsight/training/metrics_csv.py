"""metrics.csv: every number that a run logs, one row per step."""

import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from twinsight.files import write_text
from twinsight.runs.rows import read_rows

EVERY = 5.0
"""Minimum seconds between two writes during training."""


class MetricsCsv(Logger):
    """Rows of values by name, kept when a run is resumed.

    (Lightning's CSVLogger deletes the directory's contents on resume.) The file is written every few seconds and before
    each checkpoint, so that a resumed run misses no row.
    """

    def __init__(self, file: Path):
        super().__init__()
        self.file = file
        self.rows = {row["step"]: row for row in read_rows(file)} if file.exists() else {}
        self.written_at = -math.inf

    name = version = property(lambda self: None)  # type: ignore[assignment] (Lightning requires both; a file has neither)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's options are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": float(step or 0)} | {name: float(value) for name, value in metrics.items()}
        self.rows[row["step"]] = self.rows.get(row["step"], {}) | row

    def history(self) -> list[dict[str, float]]:
        """All rows so far, sorted by step: probes log a step before its loss is logged."""
        return [self.rows[step] for step in sorted(self.rows)]

    def cut(self, step: int) -> None:
        """Drop rows after this step, from which the run is resumed."""
        self.rows = {old: row for old, row in self.rows.items() if old <= step}

    def save(self) -> None:
        if time.monotonic() - self.written_at > EVERY:
            self.write()

    @rank_zero_only
    def write(self) -> None:
        rows = self.history()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [columns] + [[cell(name, row[name]) if name in row else "" for name in columns] for row in rows]
        write_text(self.file, "".join(",".join(line) + "\n" for line in lines))
        self.written_at = time.monotonic()

    def finalize(self, status: str) -> None:
        self.write()


def cell(name: str, value: float) -> str:
    return f"{value:.0f}" if name == "step" else f"{value:.6g}"  # not 1e+06 for a million steps
