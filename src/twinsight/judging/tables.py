"""The tables of `twinsight evaluate --probe`, in percent."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from torch import Tensor

from twinsight.console import console, tell
from twinsight.quantities import SCORES
from twinsight.segmentation.metrics import Scores
from twinsight.segmentation.tables import percent, right_aligned

LISTED = 40
"""Maximum classes in a printed table; --json has all."""


def explain(name: str, text: str) -> None:
    console.print(f"\n[bold]{name}[/]: {text}", highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str | float]]) -> None:
    """Text in the first column; fractions, 0 to 1, or text in the others."""
    made = right_aligned(*map(escape, columns))
    for row in rows:
        made.add_row(*[escape(value) if isinstance(value, str) else percent(value) for value in row])
    console.print(made)


def by_class(what: str, rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> None:
    """One row per class; integers are counts. titles: column headings by key."""
    if len(rows) > LISTED:
        tell(f"{len(rows)} classes: the scores of each are only in --json")
        return
    columns = [titles.get(key, key) for key in rows[0]]
    table(
        [f"{what}:", *columns[1:]],
        [[str(value) if isinstance(value, int) else value for value in row.values()] for row in rows],
    )


def segmented(scores: Mapping[str, Scores], classes: Sequence[str], titles: Mapping[str, str]) -> dict[str, Any]:
    """Print IoU by class and its mean; returns the numbers."""
    per = {name: one.iou.tolist() for name, one in scores.items()}
    share = next(iter(scores.values())).frequency.tolist()
    listed = [dict(zip(("class", *per, "pixels"), row)) for row in zip(classes, *per.values(), share)]
    numbers: dict[str, Any] = {name: one.scalars() for name, one in scores.items()}
    by_class("IoU of", listed, titles)
    means = ("mean_iou", "pixel_accuracy")
    totals = [[SCORES[key].label, *(one[key] for one in numbers.values())] for key in means]
    over = [f"{one.occurring} of {len(classes)}" for one in scores.values()]
    table(["", *(titles.get(name, name) for name in scores)], [*totals, ["mean over classes", *over]])
    return numbers | {"classes": listed}


def classified(right: Mapping[str, Tensor], labels: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    """Per class: its images, and the fraction of them that each model gets right; NaN without images."""
    rows = []
    for i, name in enumerate(names):
        of = labels == i
        shares = {who: one[of].double().mean().item() for who, one in right.items()}
        rows.append({"class": name, "images": int(of.sum())} | shares)
    return rows
