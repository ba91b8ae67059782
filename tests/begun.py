"""A run whose directory has just been made."""

from pathlib import Path
from typing import Any

from twinsight.runs.directory import Run


def begun(folder: Path, options: Any, command: str, overwrite: bool = False) -> Run:
    run = Run.new(folder, command, "what", overwrite)
    run.take()
    run.write(options, command)
    return run
