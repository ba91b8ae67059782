"""Where a command may write, checked before any work."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from twinsight.errors import UserError
from twinsight.ours import RUN, maker


def inputs(options: Any, output: str, prefix: str = "--") -> Iterator[tuple[str, Path]]:
    """Option and path of each input: every path among the options except `output`."""
    for field in fields(options):
        name, value = f"{prefix}{field.name.replace('_', '-')}", getattr(options, field.name)
        if is_dataclass(value):
            yield from inputs(value, "", f"{name}.")
        elif field.name not in (output, "resume"):
            for path in cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,):
                if isinstance(path, Path):
                    yield name, path


def check_folder(output: str, folder: Path, options: Any, replaces: bool = False) -> None:
    """Raises UserError for an output folder that is also an input, or that cannot be created or written to.

    output: the option that names it. replaces: whether its contents may be removed; then no input
    may be inside it either.
    """
    flag, target = f"--{output}", real(f"--{output}", folder)
    for name, path in inputs(options, output):
        source = path.resolve()
        if source == target or (replaces and target in source.parents):
            how = "is also" if source == target else "contains"
            raise UserError(f"{flag} {folder}: {how} the input {name} ({path}); choose another {flag}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{flag} {folder}: is a file, not a folder; choose another {flag}")
    check_writable(flag, folder)


def check_file(output: str, file: Path, options: Any, overwrite: bool) -> None:
    """Raises UserError for an output file that exists without `overwrite`, is an input, belongs to a run, or cannot be
    written.
    """
    flag, target = f"--{output}", real(f"--{output}", file)
    if file.is_dir():
        raise UserError(f"{flag} {file}: is a folder; name a file in it")
    if any(path.resolve() == target for _, path in inputs(options, output)):
        raise UserError(f"{flag} {file}: is an input of this command; choose another {flag}")
    if target.name in RUN - {"report.html"} and maker(target.parent) is not None:
        raise UserError(f"{flag} {file}: belongs to the run {target.parent}; choose another {flag}")
    if file.exists() and not overwrite:
        raise UserError(f"{flag} {file}: exists; choose another {flag} or give --overwrite")
    check_writable(flag, file.parent)


def check_writable(flag: str, folder: Path) -> None:
    """Raises UserError for a folder that cannot be created or written to."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{flag}: {there} is a file, so nothing can be written below it; choose another {flag}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{flag}: {there} is not writable; change its permissions or choose another {flag}")


def real(flag: str, path: Path) -> Path:
    """The absolute path with links resolved. Raises UserError for an invalid path."""
    try:
        target = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(target.with_name(f".{target.name}.replaced"))  # the longest name that we create next to it
        return target
    except (OSError, ValueError, RuntimeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(f"{flag}: {str(path)[:60]}... is not a valid path ({reason}); choose another {flag}") from error
