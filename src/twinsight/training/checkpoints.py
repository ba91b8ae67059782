"""Checkpoint files: written whole, read only where they are whole."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from twinsight.backbones.integrity import damaged, seal, sealed
from twinsight.console import tell
from twinsight.errors import UserError
from twinsight.files import whole


def write_checkpoint(trainer: pl.Trainer, file: Path, before: Callable[[Path], None] | None = None) -> None:
    """Everything a training needs to go on. What `file` held is replaced only once the new one has been read back.

    before: called with the new one, on the disk under a temporary name, before it takes its own.

    Not by `trainer.save_checkpoint`, which writes to the system's temporary folder and copies from there: on two disks
    half a file is left by a kill or a full disk. Raises UserError if it cannot be written; `file` is then as it was.
    """
    # weights_only: not of reading; whether optimizers, loops and callbacks stay out, which a resume needs.
    state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    if not trainer.is_global_zero:
        return
    try:
        with whole(file) as stream:
            torch.save(state, stream)
            seal(stream)
            if damaged(Path(stream.name)):
                raise OSError(errno.EIO, "what was written reads back otherwise")
            if before is not None:
                before(Path(stream.name))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{file}: could not be written at step {trainer.global_step} ({reason(error)}); what was saved before is "
            "as it was: make room or look after the disk, then go on with --resume"
        ) from error


def reason(error: Exception) -> str:
    """Of an OSError the plain words; torch hides one in the error that it raises while it closes the file."""
    inner = error if isinstance(error, OSError) else error.__context__
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Counters, callbacks' states and weights of what `write_checkpoint` wrote, on the CPU.

    Raises UserError if the file is damaged or something else.
    """
    try:
        if not sealed(file):
            tell(f"{file}: has no checksum, as an older version wrote it; taken as it is")
        elif damaged(file):
            raise UserError(f"{file}: is damaged, some of its bytes are not those that were written{others(file)}")
        state = torch.load(file, map_location="cpu", weights_only=True)
        return {name: state[name] for name in ("loops", "callbacks", "state_dict")}
    except UserError:
        raise
    except Exception as error:  # pickle promises no closed list of what a file that is none raises
        raise UserError(f"{file}: cannot be read as a checkpoint of a training{others(file)}") from error


def others(file: Path) -> str:
    """The way on from a checkpoint that cannot be used: the newest of those beside it that can."""
    beside = [other for other in file.parent.glob("*.ckpt") if other != file and not damaged(other)]
    if not beside:
        return "; start a new --run"
    newest = max(beside, key=lambda other: other.stat().st_mtime)
    return f"; {newest} is whole: copy it to {file} and give --resume again to go on from there"
