"""What a segmenter scored on a data set."""

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from twinsight.segmentation.metrics import Scores


class Evaluation(Mapping[str, float]):
    """The scores of a segmenter, by name, each from 0 to 1: `evaluation["mean_iou"]`. In a notebook, a table.

    A class that occurs neither in the masks nor in the predictions has no score (NaN) and is left out of the means.

    Attributes:
        classes: the names of the classes.
        table: a row for each class: its name, iou, accuracy (recall), precision, f1, and pixels, its share of all.
        matrix: (C, C) int64, pixels by their class (row) and the predicted one (column).
    """

    def __init__(self, scores: Scores, classes: tuple[str, ...]):
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
        scores = ", ".join(f"{name.replace('_', ' ')} {100 * score:.1f} %" for name, score in self.items())
        return f"<twinsight.Evaluation of {len(self.classes)} classes: {scores}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in self.table[0])
        rows = "".join(
            "<tr>" + "".join(f"<td>{shown(value)}</td>" for value in row.values()) + "</tr>" for row in self.table
        )
        means = "".join(f"<tr><td>{name.replace('_', ' ')}</td><td>{shown(self[name])}</td></tr>" for name in self)
        return f"<table><tr>{head}</tr>{rows}</table><table>{means}</table><p>In percent.</p>"


def shown(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
