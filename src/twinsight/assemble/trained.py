"""A run of `twinsight segment`, read as far as that needs no PyTorch."""

import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twinsight.errors import UserError
from twinsight.options.commands import Segment
from twinsight.options.config import read
from twinsight.options.parse import parse
from twinsight.ours import whereabouts
from twinsight.segmentation.classes import load_classes


class Trained(NamedTuple):
    """options: those of the training. weights: the file of the checkpoint. palette: (C, 3) uint8 RGB."""

    options: Segment
    weights: Path
    classes: tuple[str, ...]
    palette: np.ndarray


def read_trained(run: Path, checkpoint: str) -> Trained:
    """Raises UserError for a directory that is not such a run, or has no such checkpoint."""
    options = trained_with(run)
    file = run / "model.safetensors" if checkpoint == "best" else run / "checkpoints" / "last.ckpt"
    if not file.is_file():
        raise incomplete(run, file)
    return Trained(options, file, *load_classes(run / "classes.json"))


def trained_with(run: Path) -> Segment:
    """The options of a `twinsight segment` run. Raises UserError for a directory that is none."""
    if not (run / "config.yaml").is_file():
        raise UserError(
            f"{run}: not a run directory (no config.yaml); name a run of `twinsight segment`{whereabouts(run)}"
        )
    tree = read(run / "config.yaml")
    if "head" not in tree:
        raise UserError(
            f"{run}: is a run of `twinsight pretrain`, which has no head to predict masks with; train one with: "
            f"twinsight segment --weights {shlex.quote(str(run))} --data NAME"
        )
    return parse(Segment, "segment", [], tree, run / "config.yaml")


def incomplete(run: Path, file: Path) -> UserError:
    return UserError(
        f"{file}: is {'damaged' if file.exists() else 'missing'}; finish the training or write it again with: "
        f"twinsight segment --resume {shlex.quote(str(run))}"
    )
