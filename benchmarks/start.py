"""Processor time that commands take to start, beside an earlier version: help, bad input, and the first real work.

The first real work is to open what is named: each command here is given a path that does not exist, which it finds out
after all its imports.
"""

import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import beside

ROOT = Path(__file__).parent.parent
BEFORE = "7d342ad"
"""The last version whose options were read by tyro."""

FRONT = (
    "",
    "--version",
    "--help",
    "pretrain --help",
    "segment --help",
    "look attention --help",
    "pretrain --bach-size 3",
)
WORK = (
    "weights nowhere.pth", "report nowhere", "predict nowhere nowhere.jpg", "evaluate nowhere",
    "look attention nowhere.jpg --weights nowhere",
)  # fmt: skip


def run(quick: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        before = unpack(BEFORE, Path(folder))
        for line in FRONT[:2] if quick else (*FRONT, *WORK):
            ours = partial(start, ROOT / "src", line, folder)
            peers = {BEFORE: partial(start, before, line, folder) if before else None}
            target = 1 / 0.6 if line in WORK else None
            claim = f"`{f'twinsight {line}'.strip()}`: processor time"
            rounds = 1 if quick else 3 if line in WORK else 7
            rows += beside(claim, ours, peers, target, rounds, clock=children)
    return rows


def unpack(commit: str, folder: Path) -> Path | None:
    """The sources of a commit; None without tyro, which they need, without git, or without that commit."""
    if find_spec("tyro") is None:
        return None
    line: list[str] = ["git", "-C", str(ROOT), "archive", commit, "src"]
    try:
        packed = subprocess.run(line, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def start(source: Path, line: str, folder: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command: list[str] = [sys.executable, "-m", "twinsight", *line.split()]
    code = subprocess.run(command, env=environment, cwd=folder, capture_output=True).returncode
    assert code in (0, 2), f"{line}: exit code {code}"


def children() -> float:
    """Seconds of processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
