"""Processor time of commands that do little but start, beside an earlier version: help, bad input, and small work.

The work is done on runs of version 0.1, which both versions read: a test network and four scenes of 64 pixels.
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

from PIL import Image

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
    "weights segment/model.safetensors",
    "report pretrain segment --out reports --overwrite",
    "predict segment photo.png --out out --overwrite",
    "evaluate segment",
    "look features photo.png --weights pretrain --out out --overwrite",
)


def run(quick: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        before = unpack(BEFORE, Path(folder))
        with tarfile.open(ROOT / "tests" / "runs-of-0.1.tar.xz") as runs:
            runs.extractall(folder, filter="data")
        Image.new("RGB", (64, 64), "orange").save(Path(folder, "photo.png"))
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
