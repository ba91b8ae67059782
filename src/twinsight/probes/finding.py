"""The result of a probe: figures and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np

from twinsight.probes.draw import Plot
from twinsight.quantities import Names, place, quantity


class Scene(NamedTuple):
    """An image with a segmenter's masks, for trackers that overlay masks themselves.

    image: (H, W, 3) uint8. masks: name ("prediction", "truth") -> (H, W) uint8 class indices, 255 = void.
    classes: their names.
    """

    image: np.ndarray
    masks: Mapping[str, np.ndarray]
    classes: Sequence[str]


@dataclass(frozen=True)
class Finding:
    """The result of a probe.

    figures: by a name fit for a file ("block12"). numbers: by a name fit for a column ("block12/entropy"); NaN where
    there is nothing to measure. names: display names of the numbers. arrays: the figures' data. history: arrays that a
    training keeps from every look, to draw over time. scenes: see `Scene`. remarks: what a reader must know about the
    measurement, one sentence each.
    """

    figures: Mapping[str, Plot]
    numbers: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    scenes: Sequence[Scene] = ()
    remarks: Sequence[str] = ()
    names: Names = field(default_factory=dict)

    def table(self) -> list[tuple[str, str, str]]:
        """The numbers for display: where (may be empty), what with its unit, and the value in that unit."""
        found = [(place(key), quantity(key, self.names), value) for key, value in self.numbers.items()]
        return [(where, what.title, what.text(value)) for where, what, value in found]

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """For a notebook: the figures, then remarks and numbers."""
        images = "".join(plot.html(name) for name, plot in self.figures.items())
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.table())
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        return f"{images}{remarks}<table>{rows}</table>"
