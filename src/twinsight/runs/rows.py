"""The rows of a run's metrics.csv."""

import csv
import math
from io import StringIO
from pathlib import Path

from twinsight.errors import UserError
from twinsight.plain import read_text


def read_rows(file: Path) -> list[dict[str, float]]:
    """One dictionary per row, empty cells left out. Raises UserError for what is not a table of numbers by step."""
    reader = csv.DictReader(StringIO(read_text(file)))
    rows: list[dict[str, float]] = []
    try:
        for row in reader:
            rows.append({name: float(value) for name, value in row.items() if value})
            if not math.isfinite(rows[-1]["step"]):
                raise ValueError
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{file}: line {reader.line_num} is not a row of numbers with a step; remove it") from error
    return rows
