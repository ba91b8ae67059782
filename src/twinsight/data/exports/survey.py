"""What a folder holds, by the names of its files: what an export is recognized by."""

import os
from functools import cached_property
from pathlib import Path

DEPTH, NAMES = 6, 20_000
"""Levels of folders that are surveyed, and files of each folder."""

HEAD = 1 << 16
"""Bytes of a text file that may be looked at."""


class Survey:
    """The files below a folder, or as many as a look of about a second reaches.

    files: by their paths below the root, sorted, without hidden ones.
    """

    def __init__(self, root: Path):
        self.root = root
        self.files: list[str] = []
        for here, folders, names in os.walk(root, followlinks=True):
            below = Path(here).relative_to(root)
            deep = len(below.parts) >= DEPTH
            folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
            shown = sorted(name for name in names if not name.startswith("."))[:NAMES]
            self.files += [(below / name).as_posix() for name in shown]
        self.files.sort()

    @cached_property
    def folders(self) -> set[str]:
        """The paths of all folders that hold files, directly or in folders below them."""
        return {parent.as_posix() for file in self.files for parent in Path(file).parents}

    def named(self, *names: str) -> list[Path]:
        """The files with one of these names, in whatever folder."""
        return [self.root / file for file in self.files if file.rpartition("/")[2] in names]

    def ending(self, *endings: str) -> list[Path]:
        """The files whose names end in one of these, such as ".json", in any case."""
        return [self.root / file for file in self.files if file.lower().endswith(endings)]

    def empty(self, *endings: str) -> Path | None:
        """The first file whose name ends so and that holds nothing."""
        return next((file for file in self.ending(*endings) if file.is_file() and not file.stat().st_size), None)

    def heads(self, *endings: str) -> dict[Path, str]:
        """The beginnings of the first, middle and last of the files that end in one of these."""
        files = self.ending(*endings)
        some = dict.fromkeys((*files[:1], *files[len(files) // 2 :][:1], *files[-1:]))
        return {file: head(file) for file in some}


def head(file: Path) -> str:
    """The beginning of a file, as text; "" if it cannot be read."""
    try:
        with open(file, "rb") as opened:
            return opened.read(HEAD).decode(errors="replace")
    except OSError:
        return ""
