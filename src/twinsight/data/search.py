"""Image files found in folders."""

import os
from pathlib import Path

from twinsight.data.decode import EXTENSIONS
from twinsight.errors import UserError


def find_images(folder: Path) -> list[Path]:
    """Every image below a folder in sorted order; hidden files and folders are skipped, links followed.

    A link back to a folder that it lies in is not followed, and only regular files count: a pipe would block whoever
    opens it. Raises UserError, naming the folder, if one cannot be read.
    """
    found = []
    waiting: list[tuple[str, frozenset[str]]] = [(str(folder), frozenset())]
    while waiting:
        here, above = waiting.pop()
        real = os.path.realpath(here)
        if real in above:
            continue
        for entry in entries(here):
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                waiting.append((entry.path, above | {real}))
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS and can_be_opened(entry):
                found.append(Path(entry.path))
    return sorted(found)


def entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); allow access or remove the folder") from error


def can_be_opened(entry: os.DirEntry[str]) -> bool:
    """Whether this is a regular file, or a link to nothing, which is left for its reader to name."""
    if entry.is_symlink():
        return os.path.isfile(entry.path) or not os.path.exists(entry.path)
    return entry.is_file()


def find_by_name(folder: Path) -> dict[str, Path]:
    """Images below a folder by their path in it without extension, which is what pairs an image and its mask.

    Raises UserError if two files differ in nothing but their extension.
    """
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{path}: has the same name as {found[name].name}; remove or rename one of them")
        found[name] = path
    return found
