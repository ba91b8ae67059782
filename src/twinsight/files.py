"""Files written whole or not at all, and JSON that any parser accepts."""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import BinaryIO, cast

from twinsight.errors import UserError


def as_path(name: str, given: object) -> Path:
    """The path given in Python as argument `name`. Raises UserError if it is not one."""
    if isinstance(given, str | os.PathLike):
        return Path(cast("str | os.PathLike[str]", given))
    raise UserError(f"{name}: {type(given).__name__} is not a path; pass a str or a Path")


@contextmanager
def whole(file: Path) -> Generator[BinaryIO]:
    """A stream whose content replaces `file` once it is complete and on disk.

    After any failure `file` is unchanged. The stream writes to a temporary file next to it, on the same disk: neither a
    reader nor a crash of the machine sees half a file. Its mode follows the umask. Only a killed process leaves the
    temporary file, `.FILE.tmp`, which the next write replaces.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with temporary.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
        sync_folder(file.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(folder: Path) -> Generator[Path]:
    """A folder whose contents become those of `folder`, new or empty, once they are complete.

    After any failure `folder` is unchanged. Only a killed process leaves `.FOLDER.partial` next to it, which the next
    attempt replaces. Raises UserError if `folder` is not empty or cannot be written.
    """
    refuse_filled(folder)
    real = folder.resolve()
    partial = real.with_name(f".{real.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if real.exists():
            real.rmdir()
        partial.replace(real)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose a writable folder with enough space"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_filled(folder: Path) -> None:
    """Raises UserError for anything but a new or empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not an empty folder; name a new or empty one")


def sync_folder(folder: Path) -> None:
    """Sync the folder's entries to disk: without this a crash may undo a rename."""
    if os.name == "posix":  # Windows cannot open folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_text(file: Path, text: str) -> None:
    """Write UTF-8 with line endings unchanged, whole or not at all."""
    with whole(file) as stream:
        stream.write(text.encode())


def without_nan(value: object) -> object:
    """Replace NaN (such as an absent class) and infinity by null: JSON has neither."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in cast(dict[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in cast(Sequence[object], value)]
    return None if isinstance(value, float) and not isfinite(value) else value
