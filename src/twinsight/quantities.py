"""What a number is called where people read it, and in which unit it is shown there.

Numbers have keys for programs, such as "block12/head3/entropy" or "class/car/iou": the last part is what was measured,
the parts before it say where. Keys and values (fractions, not percent) stay the same; only people see these names.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

PERCENT = "%"
"""Unit of what is a fraction, 0 to 1, in files: people read it in percent, with one decimal."""

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
        """A value as people read it, without its unit; a dash for NaN."""
        if math.isnan(value):
            return "-"
        if self.unit == ALARM:
            return "rings" if value else "silent"
        if self.unit == PERCENT:
            return f"{100 * value:.1f}"
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e7 else f"{value:.2e}"


Names = Mapping[str, Quantity]
"""By the last part of a key."""


def quantity(key: str, names: Names) -> Quantity:
    """What was measured; a key without a name is called by itself, underscores aside."""
    measure = key.rpartition("/")[2]
    return names.get(measure, Quantity(measure.replace("_", " ")))


def place(key: str) -> str:
    """Where it was measured, in words: "block 12, head 3"; empty for a key of one part."""
    where = key.rpartition("/")[0].removeprefix("class/")
    where = re.sub(r"\b(block|head)(\d+)\b", r"\1 \2", re.sub(r"^k(\d+)$", r"k = \1", where))
    return PLACES.get(where, where.replace("/", ", "))


def title(key: str, names: Names) -> str:
    """ "block12/entropy" -> "block 12: entropy of attention"."""
    return ": ".join(filter(None, (place(key), quantity(key, names).title)))
