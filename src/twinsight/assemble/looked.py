"""What a probe looks at, chosen without PyTorch."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twinsight.assemble.images import find
from twinsight.assemble.networks import RANDOM
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.options.config import read
from twinsight.runs.rows import read_rows


class Images(NamedTuple):
    """Files or a data set; neither for a probe that looks at the network alone."""

    files: Sequence[Path] = ()
    dataset: Dataset | None = None


def choose(options: Any) -> Images:
    """The images named, or the data set. Raises UserError for what is missing or not wanted."""
    if options.probe.images == 0:
        if options.images:
            raise UserError("images: this probe looks at the network alone; leave them out")
        return Images()
    if options.images:
        return Images(list(find(options.images).values()))
    segmenter = any(map(of_segmenter, options.weights))
    return Images(dataset=options.data.open(options.split or ("val" if segmenter else "train")))


def of_segmenter(spec: str) -> bool:
    """Whether a model is that of a run of `twinsight segment`."""
    config = Path(spec.removeprefix(RANDOM)) / "config.yaml"
    return config.is_file() and "head" in read(config)


def read_curves(runs: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """What each run has logged. Raises UserError for a run without any."""
    rows: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        file = Path(run) / "metrics.csv"
        if not file.is_file():
            raise UserError(f"--weights {run}: no run that has logged anything (no metrics.csv)")
        rows[unique(Path(run).name, rows)] = read_rows(file)
    if not rows:
        raise UserError("--weights: none given; name a run directory")
    return rows


def unique(name: str, taken: Collection[str]) -> str:
    return name if name not in taken else unique(f"{name}'", taken)
