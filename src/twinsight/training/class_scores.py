"""Logs the scores of each class after every validation."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl

from twinsight.files import write_text
from twinsight.probes.segmentation.confusion import confusion_plot
from twinsight.training.segmenter import Segmenter
from twinsight.training.trackers import log_figure, log_table


class ClassScores(pl.Callback):
    """Writes figures/classes/per-class.csv and figures/confusion/matrix-STEP.png in the run; logs both.

    classes: their names.
    """

    def __init__(self, classes: Sequence[str]):
        self.classes = classes

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Segmenter)
        if pl_module.scores is None or not trainer.is_global_zero:
            return
        rows = pl_module.scores.table(self.classes)
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)  # NaN: an empty cell
        folder = Path(trainer.default_root_dir, "figures")
        (folder / "classes").mkdir(parents=True, exist_ok=True)
        write_text(folder / "classes" / "per-class.csv", stream.getvalue())
        log_table(trainer, "classes", rows)
        plot = confusion_plot(pl_module.scores, self.classes)
        file = folder / "confusion" / f"matrix-{trainer.global_step:07d}.png"
        plot.save(file)
        log_figure(trainer, "confusion/matrix", plot, file)
