"""Display names and units of numbers.

Numbers have keys for programs, such as "block12/head3/entropy" or "class/car/iou": the last part is what was measured,
the parts before it are where. Keys and values (fractions, not percent) stay as they are; the names are for display.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

PERCENT = "%"
"""Unit of numbers that are fractions, 0 to 1, in files and are shown in percent, with one decimal."""

ALARM = "alarm"
"""Unit of 0 or 1."""

PLACES = {"random": "random places", "center": "image center", "untrained": "untrained network"}


class Quantity(NamedTuple):
    """label: in words, lower case. unit: such as "px"; PERCENT and ALARM change how a value is written."""

    label: str
    unit: str = ""

    @property
    def title(self) -> str:
        """The label with its unit, for a column, a row or a chart."""
        return f"{self.label}, {self.unit}" if self.unit and self.unit != ALARM else self.label

    def text(self, value: float) -> str:
        """A value for display, without its unit; a dash for NaN."""
        if math.isnan(value):
            return "-"
        if self.unit == ALARM:
            return "rings" if value else "silent"
        if self.unit == PERCENT:
            return f"{100 * value:.1f}"
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e7 else f"{value:.2e}"


Names = Mapping[str, Quantity]
"""By the last part of a key."""


SCORES: Names = {
    "mean_iou": Quantity("mean IoU", PERCENT),
    "pixel_accuracy": Quantity("pixel accuracy", PERCENT),
    "mean_accuracy": Quantity("mean class accuracy (recall)", PERCENT),
    "mean_precision": Quantity("mean precision", PERCENT),
    "mean_f1": Quantity("mean F1 (Dice)", PERCENT),
    "frequency_weighted_iou": Quantity("frequency-weighted IoU", PERCENT),
    "iou": Quantity("IoU", PERCENT),
    "accuracy": Quantity("accuracy", PERCENT),
    "precision": Quantity("precision", PERCENT),
    "f1": Quantity("F1", PERCENT),
    "pixels": Quantity("pixels", PERCENT),
}
"""Of a segmenter, over all classes and of one; see `segmentation.metrics.Scores`."""

SYNONYM = "mean_recall"
"""What files hold beside mean_accuracy, which is the same number. People read the latter alone."""

CHOSEN = ("last", "best")
"""At the end of a key: which of the values that were logged."""


def quantity(key: str, names: Names) -> Quantity:
    """What was measured; without a name, the key itself with spaces for underscores."""
    rest, _, measure = key.rpartition("/")
    if measure in CHOSEN and rest:
        found = quantity(rest, names)
        return found._replace(label=f"{found.label} ({measure})")
    return names.get(measure, Quantity(measure.replace("_", " ")))


def place(key: str) -> str:
    """Where it was measured, in words: "block 12, head 3"; empty for a key of one part, and for a training's own."""
    where, _, measure = key.rpartition("/")
    if measure in CHOSEN:
        where = where.rpartition("/")[0]
    where = re.sub("(^|/)(train|val)$", "", where.removeprefix("class/"))
    where = re.sub(r"\b(block|head)(\d+)\b", r"\1 \2", re.sub(r"^k(\d+)$", r"k = \1", where))
    return PLACES.get(where, where.replace("/", ", "))


def title(key: str, names: Names) -> str:
    """ "block12/entropy" -> "block 12: entropy of attention"."""
    return ": ".join(filter(None, (place(key), quantity(key, names).title)))
