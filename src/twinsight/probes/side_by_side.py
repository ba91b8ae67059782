"""The figures of several models side by side."""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from html import escape

import numpy as np

from twinsight.probes.draw import Plot, beside
from twinsight.probes.finding import Finding
from twinsight.probes.segmentation.predictions import compare
from twinsight.quantities import Names, quantity, title


class Findings(Mapping[str, Finding]):
    """One probe's findings by model name; side by side in a notebook.

    palette: class colors, to compare predictions.
    """

    def __init__(self, findings: Mapping[str, Finding], palette: np.ndarray | None = None):
        self._findings = dict(findings)
        self._palette = palette

    def __getitem__(self, name: str) -> Finding:
        return self._findings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    def __repr__(self) -> str:
        return f"<twinsight.Findings of {', '.join(self)}>"

    @cached_property
    def figures(self) -> dict[str, Plot]:
        """Figures of the same name of all models, side by side."""
        return together(self._findings, self._palette)

    @property
    def numbers(self) -> dict[str, dict[str, float]]:
        """The numbers of each model, by its name: `pandas.DataFrame(findings.numbers)` is a table of them."""
        return {name: dict(finding.numbers) for name, finding in self.items()}

    def _repr_html_(self) -> str:
        remarks = [remark for found in self.values() for remark in found.remarks]
        keys = dict.fromkeys(key for found in self.values() for key in found.numbers)
        names = {key: what for found in self.values() for key, what in found.names.items()}
        head = "".join(f"<th>{escape(model)}</th>" for model in self)
        rows = "".join(f"<tr><td>{escape(title(key, names))}</td>{self._cells(key, names)}</tr>" for key in keys)
        return f"{Finding(self.figures, {}, remarks=remarks).html()}<table><tr><th></th>{head}</tr>{rows}</table>"

    def _cells(self, key: str, names: Names) -> str:
        values = [found.numbers.get(key) for found in self.values()]
        what = quantity(key, names)
        return "".join(f"<td>{'' if value is None else what.text(value)}</td>" for value in values)


def together(findings: Mapping[str, Finding], palette: np.ndarray | None = None) -> dict[str, Plot]:
    """Figures of the same name of all models, side by side; predictions also in one figure."""
    names = dict.fromkeys(figure for finding in findings.values() for figure in finding.figures)
    plots = {
        name: beside({model: finding.figures[name] for model, finding in findings.items() if name in finding.figures})
        for name in names
    }
    scenes = [scene for finding in findings.values() for scene in finding.scenes[:1]]
    alike = len({tuple(scene.classes) for scene in scenes}) == 1  # otherwise one legend cannot cover all models
    if palette is not None and alike and len(scenes) == len(findings) > 1:
        plots["compared"] = compare(findings, palette)
    return plots


def stem(probe: str, figure: str, figures: Collection[str]) -> str:
    """A figure's file name without extension: PROBE-FIGURE, or PROBE if it is the only one or has the same name."""
    return probe if figure == probe or len(figures) == 1 else f"{probe}-{figure}"
