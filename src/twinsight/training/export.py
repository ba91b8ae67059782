"""Exports the weights of a finished training from its checkpoints."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
from torch import Tensor

from twinsight.backbones.integrity import intact, save_tensors
from twinsight.console import tell
from twinsight.errors import UserError
from twinsight.runs.directory import Run
from twinsight.training.best import Best, Record
from twinsight.training.checkpoints import read_checkpoint
from twinsight.training.segmenter import Segmenter

Tensors = dict[str, Tensor]

MODEL = "model.safetensors"
"""The file that `twinsight segment` exports."""


def finished(run: Run, export: str, epochs: int, patience: int | None = None) -> bool:
    """True, after telling the user, if a run to resume has finished, by its last epoch or by `--early-stopping`.

    export: name of the file that the run exports. Raises UserError if the checkpoint is damaged.
    """
    state = read_checkpoint(run.last)
    done = state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    waited = state["callbacks"].get("BestCheckpoints", {}).get("waited", 0)
    stopped = patience is not None and waited >= patience
    if done < epochs and not stopped:
        return False
    if intact(run.folder / export):
        more = "more --epochs" if done >= epochs else "a larger --early-stopping"
        tell(f"{run.folder}: finished after {done} epoch{'' if done == 1 else 's'}; to train longer, give {more}")
    else:
        tell(f"{run.folder}: finished, but {export} is missing or damaged; writing it again")
    return True


def restore(module: pl.LightningModule, file: Path) -> None:
    """Load the weights of a checkpoint, averaged if the training averages. Raises UserError if it is damaged."""
    module.load_state_dict(read_checkpoint(file)["state_dict"])


def export_best(module: Segmenter, run: Run, merged: Callable[[Tensors], Tensors]) -> Best | None:
    """Write model.safetensors from the best intact checkpoint, or from the last if there is none.

    merged: removes what only the training needs from the tensors.
    Returns the one used; None for the last.
    """
    best = None
    for entry in Record(run.checkpoints).read():
        file = run.checkpoints / entry.file
        try:
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                    raise UserError(f"{file}: is damaged, or is not the checkpoint that scored {entry.score:.4f}")
            restore(module, file)
            best = entry
            break
        except UserError as error:
            tell(f"{error}; exporting the next best")
    else:
        restore(module, run.last)
    save_tensors(merged(module.model.state_dict()), run.folder / MODEL)
    return best
