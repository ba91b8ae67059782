"""Checkpoint files: written atomically, and read only if intact."""

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
    """Write everything that a resumed training needs. `file` is replaced only after the new one has been verified.

    before: called with the path of the new file, still under a temporary name, before it replaces `file`.

    `trainer.save_checkpoint` is not used: it writes to the system's temporary folder and copies from there, so a kill
    or a full disk can leave half a file. Raises UserError if writing fails; `file` is then unchanged.
    """
    # weights_only=True would leave out the optimizers, loops and callbacks that a resume needs.
    state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    if not trainer.is_global_zero:
        return
    try:
        with whole(file) as stream:
            torch.save(state, stream)
            seal(stream)
            if damaged(Path(stream.name)):
                raise OSError(errno.EIO, "it does not read back as written")
            if before is not None:
                before(Path(stream.name))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{file}: could not be written at step {trainer.global_step} ({reason(error)}); the previous checkpoint is "
            "intact: free disk space or check the disk, then continue with --resume"
        ) from error


def reason(error: Exception) -> str:
    """The message of an OSError; torch hides it behind another error raised while closing the file."""
    inner = error if isinstance(error, OSError) else error.__context__
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Counters, callbacks' states and weights of a file by `write_checkpoint`, on the CPU.

    Raises UserError if the file is damaged or not a checkpoint.
    """
    try:
        if not sealed(file):
            tell(f"{file}: has no checksum, since an older version wrote it; used unchecked")
        elif damaged(file):
            raise UserError(f"{file}: is damaged: its checksum does not match{others(file)}")
        state = torch.load(file, map_location="cpu", weights_only=True)
        return {name: state[name] for name in ("loops", "callbacks", "state_dict")}
    except UserError:
        raise
    except Exception as error:  # a broken pickle can raise anything
        raise UserError(f"{file}: cannot be read as a checkpoint of a training{others(file)}") from error


def others(file: Path) -> str:
    """How to continue without an unusable checkpoint: with the newest intact one beside it, if any."""
    beside = [other for other in file.parent.glob("*.ckpt") if other != file and not damaged(other)]
    if not beside:
        return "; start again with a new --run"
    newest = max(beside, key=lambda other: other.stat().st_mtime)
    return f"; {newest} is intact: copy it to {file} and repeat --resume to continue from there"
