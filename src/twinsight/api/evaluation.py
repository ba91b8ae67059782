"""What a segmenter scored on a data set."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from twinsight.quantities import SCORES, SYNONYM, Quantity, quantity
from twinsight.segmentation.metrics import Scores


class Evaluation(Mapping[str, float]):
    """The scores of a segmenter, by name, each from 0 to 1: `evaluation["mean_iou"]`. In a notebook, a table.

    A class that occurs neither in the masks nor in the predictions has no score (NaN) and is left out of the means.

    Attributes:
        classes: the names of the classes.
        table: a row for each class: its name, iou, accuracy (recall), precision, f1, and pixels, its share of all.
        measured: what was measured on what and how: checkpoint, data, split, images, precision, ...
        matrix: (C, C) int64, pixels by their class (row) and the predicted one (column).
    """

    def __init__(self, scores: Scores, classes: tuple[str, ...], measured: Mapping[str, Any]):
        self.measured = dict(measured)
        self.classes = classes
        self.table = scores.table(classes)
        self.matrix: np.ndarray = scores.matrix.numpy()
        self._scores = scores.scalars()

    def __getitem__(self, name: str) -> float:
        return self._scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __repr__(self) -> str:
        scores = ", ".join(f"{what.label} {what.text(self[name])} %" for name, what in self._means().items())
        return f"<twinsight.Evaluation of {len(self.classes)} classes: {scores}>"

    def _means(self) -> dict[str, Quantity]:
        """What to call each score; of two names of one, the first."""
        return {name: quantity(name, SCORES) for name in self if name != SYNONYM}

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{quantity(name, SCORES).label}</th>" for name in self.table[0])
        rows = "".join(
            "<tr>" + "".join(f"<td>{shown(value)}</td>" for value in row.values()) + "</tr>" for row in self.table
        )
        means = "".join(
            f"<tr><td>{what.label}</td><td>{what.text(self[name])}</td></tr>" for name, what in self._means().items()
        )
        return f"<table><tr>{head}</tr>{rows}</table><table>{means}</table><p>In percent.</p>"


def shown(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
