"""Files written whole or not at all, and JSON that any reader takes."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import BinaryIO, cast

from twinsight.errors import UserError


def as_path(name: str, given: object) -> Path:
    """A path that a caller from Python gave as the argument of this name. Raises UserError for what is none."""
    if isinstance(given, str | os.PathLike):
        return Path(cast("str | os.PathLike[str]", given))
    raise UserError(f"{name}: {type(given).__name__} is not a path; pass a str or a Path")


@contextmanager
def whole(file: Path) -> Generator[BinaryIO]:
    """A stream whose content replaces `file` once it is complete and on the disk.

    After any failure `file` is as it was. Writing goes to a temporary name beside it, so on the same disk: no reader
    ever meets half a file, and no crash of the machine leaves one. Its mode follows the umask. Only a killed
    process leaves the temporary name, `.FILE.tmp`, which the next writing takes over.
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


def sync_folder(folder: Path) -> None:
    """Put the folder's names on the disk: without this a crash may undo a renaming."""
    if os.name == "posix":  # Windows opens no folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_text(file: Path, text: str) -> None:
    """Write UTF-8 with line ends as they are, whole or not at all."""
    with whole(file) as stream:
        stream.write(text.encode())


def without_nan(value: object) -> object:
    """NaN (a class that occurs nowhere) and infinity as null: JSON has neither."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in cast(dict[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in cast(Sequence[object], value)]
    return None if isinstance(value, float) and not isfinite(value) else value
