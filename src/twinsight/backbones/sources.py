"""Where weights are: a file, an entry of one, or a run directory; found without PyTorch."""

from pathlib import Path

from twinsight.errors import UserError

RUN_FILES = ("backbone.safetensors", "model.safetensors", "checkpoints/last.ckpt", "pytorch_model.bin")
"""Files that may hold a backbone, preferred first: of a pretraining, a segmenter, an unfinished run, Hugging Face."""


def file_in(folder: Path) -> Path:
    """The file with a folder's weights. Raises UserError if there is none."""
    for name in RUN_FILES:
        if (folder / name).exists():
            return folder / name
    raise UserError(f"{folder}: holds no weights; name a run, or a folder with {' or '.join(RUN_FILES)}")


def file_and_entry(source: Path) -> tuple[Path, str | None]:
    """FILE:ENTRY split, if FILE exists; any other source unchanged."""
    name, _, entry = source.name.rpartition(":")
    if name and not source.exists() and source.with_name(name).is_file():
        return source.with_name(name), entry
    return source, None


def no_weights(source: Path) -> UserError:
    return UserError(
        f"{source}: no such file, run directory or official weights; check the path, or choose a name that "
        "`twinsight weights` lists"
    )
