"""A run directory: config, checkpoints, metrics, figures; made, resumed, opened again."""

import os
import platform
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from twinsight.console import RANK
from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.recipe import dump

PACKAGES = (
    "twinsight",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "numpy",
    "opencv-python-headless",
    "pillow",
)

JOIN = "TWINSIGHT_RUN"
"""Environment variable that tells the processes of one training which run is theirs."""

MAY_CHANGE = {
    "epochs", "max_minutes", "data", "workers", "devices", "accelerator", "precision", "early_stopping",
    "augment_on", "keep", "val_every", "log", "log_every", "probe", "probe_images", "probe_size", "probe_budget",
}  # fmt: skip
"""Options that a resumed run may have otherwise than before."""


class Run:
    """A directory of one training, locked while this process lives.

    config.yaml: all options, reloadable; checkpoints/: last.ckpt and the best; metrics.csv; figures/;
    environment.txt: machine, versions and the command.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.figures = folder / "figures"
        self.last = self.checkpoints / "last.ckpt"

    @classmethod
    def make(cls, folder: Path | None, options: Any, command: str, what: str, overwrite: bool = False) -> "Run":
        """A new run. Raises UserError if the directory holds anything and is not to be overwritten, or is in use."""
        if RANK > 0:
            return cls.join(folder)
        run = cls(folder or next_folder(f"{command}-{what}"))
        if run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
            if not overwrite:
                raise UserError(
                    f"{run.folder}: exists and is not empty; choose another --run, go on with it by --resume "
                    f"{run.folder}, or give --overwrite"
                )
            if not (run.folder / "config.yaml").is_file():
                raise UserError(
                    f"{run.folder}: is no run directory, so --overwrite leaves it alone; choose another --run"
                )
            run.lock()
            shutil.rmtree(run.folder)
        run.checkpoints.mkdir(parents=True)
        run.lock()
        try:
            write_text(run.folder / "config.yaml", dump(options, command))
            write_text(run.folder / "environment.txt", environment())
        except OSError:
            run.remove()
            raise
        os.environ[JOIN] = str(run.folder)
        return run

    @classmethod
    def join(cls, folder: Path | None) -> "Run":
        """The run that the first process has made: said by it where it started this one, else by --run."""
        given = os.environ.get(JOIN) or folder
        if given is None:
            raise UserError("--run: name the directory where several processes are launched by hand")
        return cls(Path(given))

    @classmethod
    def reopen(cls, folder: Path, options: Any, command: str) -> "Run":
        """A run to go on with, from now on with these options.

        Raises UserError if there is nothing to go on from, it is in use, or the options make another
        training of it.
        """
        if RANK > 0:
            return cls(folder)
        run = cls(folder)
        if not run.last.is_file():
            raise UserError(
                f"--resume {folder}: no checkpoint there (no checkpoints/last.ckpt); start it anew with --run"
            )
        saved, now = (yaml.safe_load(text) for text in ((folder / "config.yaml").read_text(), dump(options, command)))
        for key in now:
            if now[key] != saved.get(key) and key not in MAY_CHANGE:
                raise UserError(
                    f"--{key.replace('_', '-')}: is not what {folder} was begun with, and a resumed run goes on as "
                    "it was; leave it out, or start a new --run"
                )
        run.lock()
        write_text(folder / "config.yaml", dump(options, command))
        return run

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def lock(self) -> None:
        """Hold the directory until this process ends. Raises UserError if another process holds it."""
        self._lock = FileLock(self.folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.folder}: another process is training in this run directory; wait for it or choose another --run"
            ) from error


def next_folder(stem: str) -> Path:
    """runs/STEM-1, or the first number that is free."""
    return next(folder for n in count(1) if not (folder := Path("runs") / f"{stem}-{n}").exists())


def environment() -> str:
    """What one needs to repeat a run elsewhere, one fact a line."""

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    facts = {
        "command": shlex.join(["twinsight", *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        **{package: installed(package) for package in PACKAGES},
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items())
