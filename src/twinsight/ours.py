"""Folders made by our commands: recognized by a marker, and replaced without losing the old one.

The old folder is renamed to a hidden one next to it, and removed only when the new one is worth more.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.plain import read_yaml

MARKER = ".twinsight"
FORMAT = 1

RUN = {
    MARKER, ".lock", "config.yaml", "environment.txt", "data.json", "metrics.csv", "checkpoints", "figures",
    "report.html", "tensorboard", "wandb", "evaluations", "evaluations.json", "backbone.safetensors", "backbone.json",
    "model.safetensors", "classes.json",
}  # fmt: skip
"""What the top level of a run directory may contain."""

NAMES: dict[str, set[str]] = {
    "pretrain": RUN,
    "segment": RUN,
    "demo": {MARKER, ".lock", "shapes", "pretrain", "random", "pretrained", "finetuned", "figures", "index.html"},
}
"""Top-level names by the command that made the folder."""


def mark(folder: Path, command: str) -> None:
    write_text(folder / MARKER, json.dumps({"format": FORMAT, "command": command}) + "\n")


def maker(folder: Path) -> str | None:
    """The command that made a folder, by its marker; without one (earlier versions), by its files."""
    config = tree(folder / "config.yaml")
    if (folder / MARKER).exists():
        content = tree(folder / MARKER)
        command = content.get("command")
        known = command in NAMES and content.get("format") == FORMAT
        return command if known and config.get("command", command) == command else None
    if (folder / "shapes" / "ImageSets").is_dir() and maker(folder / "pretrain") == "pretrain":
        return "demo"
    command = config.get("command")
    return command if command in ("pretrain", "segment") and (folder / "environment.txt").is_file() else None


def made_here(names: Collection[str]) -> bool:
    """Whether a folder with these top-level names looks like one of ours; opens no file."""
    return MARKER in names or {"config.yaml", "checkpoints"} <= {*names}


def refuse_run(what: str, folder: Path) -> None:
    """Raises UserError for a run directory where images are wanted: those in it are figures."""
    names = [name for name in (MARKER, "config.yaml", "checkpoints") if os.path.exists(folder / name)]
    if made_here(names):
        raise UserError(f"{what}{folder}: is a run directory of twinsight, not a folder of images; name that folder")


def tree(file: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file; empty if there is none."""
    try:
        content = read_yaml(file)
    except UserError:
        return {}
    return cast(dict[str, Any], content) if isinstance(content, dict) else {}


def stranger(folder: Path, names: Collection[str]) -> str | None:
    """A top-level name in the folder that is neither ours nor left by an interrupted write of ours."""
    known = {*names, *(f".{name}.tmp" for name in names)}
    return min((path.name for path in folder.iterdir() if path.name not in known), default=None)


def vacant(folder: Path) -> bool:
    """Whether there is nothing to lose: no folder, or one with at most a lock and a marker."""
    return not folder.exists() or (folder.is_dir() and stranger(folder, {MARKER, ".lock"}) is None)


def check_replaceable(flag: str, folder: Path, commands: Collection[str]) -> None:
    """Raises UserError unless one of `commands` made everything at the folder's top level."""
    command = maker(folder) if folder.is_dir() else None
    if command is None or command not in commands:
        raise UserError(
            f"{flag} {folder}: was not made by twinsight {' or '.join(commands)}, so --overwrite leaves it alone; "
            f"choose another {flag}"
        )
    name = stranger(folder, NAMES[command])
    if name is not None:
        raise UserError(
            f"{flag} {folder}: contains {name}, which twinsight did not write, so --overwrite leaves it alone; "
            f"move that file elsewhere or choose another {flag}"
        )


def aside(folder: Path) -> Path:
    """Where a folder is kept while it is being replaced: next to it, hidden."""
    real = folder.resolve()
    return real.with_name(f".{real.name}.replaced")


def move_aside(folder: Path, finished: bool) -> None:
    """Make room for a new folder.

    finished: whether the folder is worth restoring. If not, an older folder that it was to replace is kept instead.
    """
    if folder.exists() and aside(folder).exists():
        discard(aside(folder) if finished else folder)
    if folder.exists():
        folder.resolve().replace(aside(folder))


def put_back(folder: Path) -> None:
    """Restore the old folder in place of the new one."""
    discard(folder)
    aside(folder).replace(folder.resolve())


def discard(folder: Path) -> None:
    """Remove a folder; its name is free at once, even if this is interrupted."""
    real = folder.resolve()
    removed = real.with_name(f".{real.name.removeprefix('.')}.removed")
    shutil.rmtree(removed, ignore_errors=True)
    if real.exists():
        real.replace(removed)
        shutil.rmtree(removed)


def whereabouts(folder: Path) -> str:
    """Where to find what an interrupted --overwrite moved aside; empty if there is nothing."""
    old = aside(folder)
    return f"; what was here before an interrupted --overwrite is in {old}" if old.exists() else ""
