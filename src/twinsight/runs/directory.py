"""A run directory: config, checkpoints, metrics, figures; made, resumed, opened again."""

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from twinsight.console import RANK, tell
from twinsight.environment import environment
from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.options.auto import AUTO
from twinsight.options.config import dump, flat, read
from twinsight.ours import aside, check_replaceable, discard, mark, move_aside, put_back, vacant, whereabouts
from twinsight.plain import read_json

JOIN = "TWINSIGHT_RUN"
"""Environment variable that tells the processes of one training which run is theirs."""

MAY_CHANGE = {
    "epochs", "max_minutes", "checkpoint_minutes", "workers", "devices", "accelerator", "precision", "early_stopping",
    "augment_on", "keep", "val_every", "log", "log_every", "probe", "probe_images", "probe_size", "probe_budget",
    "method.teacher", "data.root", "data.masks", "data.classes", "data.cache", "data.download", "data.max_megapixels",
}  # fmt: skip
"""Options that a resumed run may have otherwise than before; that data elsewhere are the same, `Run.expect` checks."""


class Run:
    """A directory of one training, locked while it trains.

    config.yaml: all options, reloadable; checkpoints/: last.ckpt and the best; metrics.csv; figures/;
    environment.txt: machine, versions and the command; data.json: what it trains on.

    `new` and `reopen` check and write nothing; `training` then makes the directory, or goes on in it.
    """

    def __init__(self, folder: Path, resumed: bool = False, overwrite: bool = False):
        self.folder = folder
        self.resumed = resumed
        self.overwrite = overwrite
        self.checkpoints = folder / "checkpoints"
        self.figures = folder / "figures"
        self.last = self.checkpoints / "last.ckpt"
        self.data: dict[str, Any] = {}
        self._lock = FileLock(folder / ".lock")

    @classmethod
    def new(cls, folder: Path | None, command: str, what: str, overwrite: bool = False) -> "Run":
        """A run to be made. Raises UserError if its directory holds anything that is not to be overwritten, or that no
        run has written, or if it is in use.
        """
        if RANK > 0:
            return cls.join(folder)
        run = cls(folder or next_folder(f"{command}-{what}"), overwrite=overwrite)
        run.check_room()
        return run

    def check_room(self) -> None:
        """Raises UserError if there is something in the way of a new run that is not to be overwritten, or not ours."""
        there = not vacant(self.folder)
        if (there or aside(self.folder).exists()) and not self.overwrite:
            go_on = f"go on with it by --resume {self.folder}, " if self.last.is_file() else ""
            state = "exists and is not empty" if there else "its old run is still to be replaced"
            raise UserError(
                f"{self.folder}: {state}; choose another --run, {go_on}or give --overwrite{whereabouts(self.folder)}"
            )
        if there:
            check_replaceable("--run", self.folder, ("pretrain", "segment"))
            self.check_free()

    @classmethod
    def join(cls, folder: Path | None) -> "Run":
        """The run that the first process has made: said by it where it started this one, else by --run."""
        given = os.environ.get(JOIN) or folder
        if given is None:
            raise UserError("--run: name the directory where several processes are launched by hand")
        return cls(Path(given))

    @classmethod
    def reopen(cls, folder: Path, options: Any, command: str) -> "Run":
        """A run to go on with.

        Raises UserError if there is nothing to go on from, it is in use, or the options make another training of it.
        """
        run = cls(folder, resumed=True)
        if RANK > 0:
            return run
        if not run.last.is_file():
            raise UserError(
                f"--resume {folder}: no checkpoint there (no checkpoints/last.ckpt); start it anew with "
                f"--run{whereabouts(folder)}"
            )
        saved, now = flat(read(folder / "config.yaml", command)), flat(yaml.safe_load(dump(options, command)))
        for name in [name for name in now if name in saved and name not in MAY_CHANGE]:  # in the order of the help
            undecided = now[name] == AUTO or (name == "data.bits" and now[name] is None)  # until the data are opened
            if now[name] != saved[name] and not undecided:
                flag = name.removesuffix(".name").replace("_", "-")
                raise UserError(
                    f"--{flag}: is not what {folder} was begun with, and a resumed run goes on as it was; leave it "
                    "out, or start a new --run"
                )
        run.begun = saved
        run.check_free()
        return run

    begun: Mapping[str, Any] = {}
    """The options of a resumed run until now, with dots in the names of what is nested."""

    def expect(self, data: dict[str, Any]) -> None:
        """Keep in data.json what the run trains on. Raises UserError if a resumed one trained on something else."""
        file = self.folder / "data.json"
        before = read_json(file) if self.resumed and file.is_file() else {}
        for split in [split for split in data if split in before]:
            for fact, value in data[split].items():
                if before[split].get(fact) != value:
                    seen = f": {value} instead of {before[split].get(fact)}" if isinstance(value, int) else ""
                    raise UserError(
                        f"--data: the {fact} of {split} are not those that {self.folder} was begun with{seen}; give it "
                        f"the same data (--data.root if they have moved), or start a new run from its weights: --run "
                        f"NEW --weights {self.folder}"
                    )
        self.data = data

    @contextmanager
    def training(self, options: Any, command: str) -> Generator[None]:
        """Make or reopen the directory, and hold it while this lasts.

        A run that fails before its first checkpoint and has logged nothing goes; the one that it was to replace comes
        back.
        """
        self.take()
        try:
            self.write(options, command)
            yield
        finally:
            self.end()

    def end(self) -> None:
        if RANK == 0:
            self._lock.release()
            self.settle()
            if not self.weights_there():
                if aside(self.folder).exists():
                    put_back(self.folder)
                    tell(f"{self.folder}: holds the old run again, since the new one has come to no checkpoint")
                elif not self.worth_reading():
                    discard(self.folder)

    def take(self) -> None:
        """Make room for the directory, make it, and hold it."""
        if RANK > 0:
            return
        if not self.resumed:
            self.check_room()
            if not vacant(self.folder):
                move_aside(self.folder, finished=self.weights_there())
                tell(f"{self.folder}: the old run waits in {aside(self.folder)} for the new one's first checkpoint")
            try:
                self.folder.resolve().mkdir(parents=True, exist_ok=True)
            except OSError:
                if aside(self.folder).exists():
                    put_back(self.folder)
                raise
        self.hold()

    def write(self, options: Any, command: str) -> None:
        """What a run has from its first moment on."""
        if RANK > 0:
            return
        mark(self.folder, command)
        self.save(options, command)
        if not self.resumed:
            write_text(self.folder / "environment.txt", environment())
        self.checkpoints.mkdir(exist_ok=True)
        os.environ[JOIN] = str(self.folder)

    def weights_there(self) -> bool:
        """Whether it has come to weights: a checkpoint, or without a training, the backbone."""
        return self.last.is_file() or (self.folder / "backbone.safetensors").is_file()

    def worth_reading(self) -> bool:
        metrics = self.folder / "metrics.csv"
        return metrics.is_file() and "train/" in metrics.read_text(encoding="utf-8")

    def save(self, options: Any, command: str) -> None:
        """Keep the options, as they are by now, and what is trained on."""
        write_text(self.folder / "config.yaml", dump(options, command))
        write_text(self.folder / "data.json", json.dumps(self.data, indent=1) + "\n")

    def settle(self) -> None:
        """Remove the run that this one replaces, once this one has weights."""
        if RANK == 0 and self.weights_there() and aside(self.folder).exists():
            discard(aside(self.folder))

    def hold(self) -> None:
        """Hold the directory until this process ends. Raises UserError if another process holds it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.folder}: another process is training in this run directory; wait for it or choose another --run"
            ) from error

    def check_free(self) -> None:
        """Raises UserError if another process holds the directory; writes nothing."""
        if Path(self._lock.lock_file).exists():
            self.hold()
            self._lock.release()


def next_folder(stem: str) -> Path:
    """runs/STEM-1, or the first number that is free."""
    folders = (Path("runs") / f"{stem}-{n}" for n in count(1))
    return next(folder for folder in folders if not folder.exists() and not aside(folder).exists())
