"""Scores as a table in the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from twinsight.console import console
from twinsight.segmentation.metrics import Scores


def print_scores(scores: Scores, classes: Sequence[str]) -> None:
    """Print scores per class and their means, in percent."""
    rows = scores.table(classes)
    table = Table(*[str(name) for name in rows[0]])
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*[escape(value) if isinstance(value, str) else percent(value) for value in row.values()])
    console.print(table)
    totals = scores.scalars().items()
    console.print("  ".join(f"{name.replace('_', ' ')} [bold]{percent(value)}[/bold]" for name, value in totals))
    if scores.occurring < len(classes):
        console.print(f"Means are over {scores.occurring} of {len(classes)} classes; the others do not occur.")


def percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"  # NaN: the class does not occur
