"""The same figures of several models beside one another."""

from collections.abc import Collection

import numpy as np

from twinsight.probes.draw import Plot, beside
from twinsight.probes.finding import Finding
from twinsight.probes.segmentation.predictions import compare


def together(findings: dict[str, Finding], palette: np.ndarray | None = None) -> dict[str, Plot]:
    """Each figure with those of the same name of all models beside it; predictions in one row too."""
    names = dict.fromkeys(figure for finding in findings.values() for figure in finding.figures)
    plots = {
        name: beside({model: finding.figures[name] for model, finding in findings.items() if name in finding.figures})
        for name in names
    }
    if palette is not None and len(findings) > 1 and all(finding.scenes for finding in findings.values()):
        plots["compared"] = compare(findings, palette)
    return plots


def stem(probe: str, figure: str, figures: Collection[str]) -> str:
    """The name of a figure's file without its ending: PROBE-FIGURE, or PROBE for the only figure and its namesake."""
    return probe if figure == probe or len(figures) == 1 else f"{probe}-{figure}"
