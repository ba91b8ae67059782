"""A training of several processes, begun from Python."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twinsight.console import tell
from twinsight.errors import UserError
from twinsight.options.config import dump


def in_others(options: Any, command: str, run: Path) -> None:
    """Train by the command, which starts one process for each device.

    run: the directory, also of a run to resume.

    Lightning starts them by running this very program again, which for a script of the user's would do everything in it
    once for each, and cannot be done for a notebook.
    """
    with TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.yaml"
        config.write_text(dump(options, command), encoding="utf-8")
        where = ["--resume" if options.resume else "--run", str(run)]
        line = [sys.executable, "-m", "twinsight", command, *where, "--config", str(config)]
        line += ["--overwrite"] if options.overwrite else []
        with subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        ) as process:
            assert process.stderr is not None
            try:
                message = follow(process.stderr)
            except KeyboardInterrupt:  # which the process has received too: it saves, and ends
                message = follow(process.stderr)
    if process.returncode == 2:
        raise UserError(message)
    if process.returncode > 128:  # saved after a signal
        raise KeyboardInterrupt(message)
    if process.returncode:
        raise RuntimeError(f"the training's process ended with code {process.returncode}: {message}")


def follow(lines: Any) -> str:
    """Show what the process says; its error, or its last line."""
    last = ""
    for line in lines:
        last = line.rstrip("\n")
        if not last.startswith("twinsight: error: "):
            tell(last)
    return last.removeprefix("twinsight: error: ")
