"""A run as Python sees it: where it is, what it was made with, what came of it."""

import os
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.files import as_path
from twinsight.options.config import read
from twinsight.ours import whereabouts
from twinsight.quantities import SCORES
from twinsight.runs.rows import read_rows

EXPORTS = {"pretrain": "backbone.safetensors", "segment": "model.safetensors"}


class Run:
    """A run directory of `twinsight.pretrain` or `twinsight.segment`, finished or not.

    It stands wherever a path does: `twinsight.load(run)`, `twinsight.segment(..., weights=run)`, `open(run / "x")`.

    Attributes:
        folder: the directory.

    Example:
        >>> run = twinsight.Run(folder / "segmenter")
        >>> run.options["head"]["name"], run.command, run.finished
        ('linear', 'segment', True)
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = as_path("folder", folder)
        if not (self.folder / "config.yaml").is_file():
            raise UserError(f"{folder}: is not a run directory (no config.yaml){whereabouts(self.folder)}")

    def __fspath__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.folder.resolve() == other.folder.resolve()

    def __hash__(self) -> int:
        return hash(self.folder.resolve())

    def __repr__(self) -> str:
        return f"twinsight.Run({str(self.folder)!r})"

    @cached_property
    def options(self) -> dict[str, Any]:
        """All options that it was trained with, nested as in its config.yaml."""
        return read(self.folder / "config.yaml")

    @property
    def command(self) -> str:
        """ "pretrain" or "segment"."""
        return "segment" if "head" in self.options else "pretrain"

    @property
    def metrics(self) -> list[dict[str, float]]:
        """What was logged so far, a dictionary for each row: `pandas.DataFrame(run.metrics)` is a table of them."""
        file = self.folder / "metrics.csv"
        return read_rows(file) if file.is_file() else []

    @property
    def scores(self) -> dict[str, float]:
        """The scores of the best validation, by the mean IoU, each from 0 to 1; empty without a validation."""
        validated = [row for row in self.metrics if row.get("val/mean_iou") is not None]
        best = max(validated, key=lambda row: row["val/mean_iou"], default={})
        return {name.removeprefix("val/"): value for name, value in best.items() if name.startswith("val/")}

    @property
    def weights(self) -> Path:
        """What it exports at its end: the backbone, of a segmenter the whole model."""
        return self.folder / EXPORTS[self.command]

    @property
    def finished(self) -> bool:
        """Whether its weights are there; else `twinsight.pretrain(resume=run)` goes on with it, or `segment`."""
        return self.weights.is_file()

    @property
    def report(self) -> Path:
        """Its page: what was run, scores, curves, figures."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        part = "head" if self.command == "segment" else "method"
        state = "finished" if self.finished else "not finished"
        rows = {
            "run": f'<a href="{escape(self.report.as_posix())}">{escape(str(self.folder))}</a>, {state}',
            "what": escape(f"{self.options[part]['name']} on {self.options['backbone']['name']}"),
            "data": escape(" ".join(str(self.options["data"].get(key, "")) for key in ("name", "root"))),
            "logged": f"{len(self.metrics)} rows of metrics",
            **{SCORES[name].label: f"{100 * value:.1f} %" for name, value in self.scores.items() if name in SCORES},
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{value}</td></tr>" for name, value in rows.items()
        )
        return f"<table>{cells}</table>"
