"""The confusion matrix of a segmenter as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import FigureBase

from twinsight.probes.dark import INK
from twinsight.probes.draw import PAGE, Plot
from twinsight.segmentation.metrics import Scores


def confusion_plot(scores: Scores, classes: Sequence[str]) -> Plot:
    """Shares of each true class (row), in percent, of those that occur in target or prediction."""
    matrix = scores.matrix.double().numpy()
    there = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
    matrix = matrix[np.ix_(there, there)]
    names = [classes[i] for i in there.tolist()]
    total = matrix.sum(1, keepdims=True)
    percent = 100 * np.divide(matrix, total, out=np.full_like(matrix, np.nan), where=total > 0)
    side = min(PAGE, 1.6 + 0.34 * len(names))

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.imshow(percent, cmap="Blues", vmin=0, vmax=100, gid=INK)
        axis.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.tick_params(length=0)
        axis.set(xlabel="predicted", ylabel="true")
        if len(names) <= 24:  # beyond that no number could be read
            for (i, j), value in np.ndenumerate(percent):
                if value >= 0.5:
                    color = "white" if value > 55 else "#333333"
                    axis.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)

    return Plot(side, side, draw)
