"""Scores as tables in the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from twinsight.console import console
from twinsight.quantities import SCORES, SYNONYM, quantity
from twinsight.segmentation.metrics import Scores


def print_scores(scores: Scores, classes: Sequence[str]) -> None:
    """Print scores per class and their means, in percent."""
    rows = scores.table(classes)
    _, *keys = rows[0]
    table = right_aligned("class, in %", *[quantity(key, SCORES).label for key in keys])
    for row in rows:
        table.add_row(*[escape(value) if isinstance(value, str) else percent(value) for value in row.values()])
    console.print(table)
    totals = right_aligned("over all classes", "%")
    for key, value in scores.scalars().items():
        if key != SYNONYM:
            totals.add_row(quantity(key, SCORES).label, percent(value))
    console.print(totals)
    if scores.occurring < len(classes):
        console.print(f"Means are over {scores.occurring} of {len(classes)} classes; the others do not occur.")


def right_aligned(first: str, *others: str) -> Table:
    """A table with texts in its first column and numbers in the others."""
    table = Table(first, *others)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"  # NaN: the class does not occur
