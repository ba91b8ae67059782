"""A training begun from Python, in this process or, of several processes, in others."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twinsight.commands import pretrain, segment
from twinsight.console import tell, without_tables
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.options.build import label
from twinsight.options.config import dump
from twinsight.runs.directory import next_folder

COMMANDS: dict[str, Callable[[Any], Any]] = {"pretrain": pretrain.run, "segment": segment.run}


def launch(options: Any, command: str) -> Path:
    """Train, and return the run's directory."""
    if Device(options.accelerator).processes(options.devices) == 1:
        with without_tables():
            return COMMANDS[command](options)
    if options.run is None and options.resume is None:
        what = options.head if command == "segment" else options.method
        options = replace(options, run=next_folder(f"{command}-{label(what)}-{label(options.backbone)}"))
    in_others(options, command)
    folder: Any = options.resume or options.run
    return folder


def in_others(options: Any, command: str) -> None:
    """Train by the command, which starts one process for each device.

    Lightning starts them by running this very program again, which for a script of the user's would do everything in it
    once for each, and cannot be done for a notebook.
    """
    with TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.yaml"
        config.write_text(dump(options, command), encoding="utf-8")
        where = ["--resume", str(options.resume)] if options.resume else ["--run", str(options.run)]
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
