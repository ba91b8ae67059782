"""What `twinsight evaluate` measures a segmenter on, checked without PyTorch."""

from pathlib import Path

from twinsight.assemble.datasets import with_masks
from twinsight.assemble.trained import read_trained
from twinsight.data.glance import glance
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.options.commands import Evaluate
from twinsight.options.config import read


def classes_of(run: Path, checkpoint: str) -> tuple[str, ...]:
    """The classes of a run of `twinsight segment`. Raises UserError for a directory that is none, or lacks it."""
    config = run / "config.yaml"
    if config.is_file() and "head" not in read(config):
        raise no_segmenter(run)
    return read_trained(run, checkpoint).classes


def no_segmenter(source: object) -> UserError:
    return UserError(
        f"{source}: is a backbone without a segmentation head; judge it with --probe patches,linear (or attention; "
        "on a folder per class knn,linear)"
    )


def measured_on(options: Evaluate, classes: tuple[str, ...]) -> Dataset:
    """The data. Raises UserError for data that a segmenter of `classes` cannot be measured on."""
    dataset = with_masks(options.data.open("val"))
    if dataset.classes != classes:
        raise UserError(
            f"--data: its classes ({', '.join(dataset.classes[:4])}, ...) are not those that {options.run} was trained "
            f"on ({', '.join(classes[:4])}, ...); evaluate on data with the same classes in the same order"
        )
    glance(None, dataset)
    return dataset
