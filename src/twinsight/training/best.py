"""Keeps the best checkpoints of a training with validation."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.training.checkpoints import write_checkpoint


@dataclass(frozen=True)
class Best:
    """A checkpoint and its score. file: its name in the record's folder; sha256: of the file."""

    file: str
    score: float
    epoch: int
    step: int
    sha256: str


class Record:
    """best.json beside the checkpoints: those kept for their scores, best first.

    File names carry no meaning, and files that are not listed are left alone.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "best.json"

    def read(self) -> list[Best]:
        """The entries whose files exist. Raises UserError if the record is damaged."""
        if not self.file.is_file():
            return []
        try:
            kept = [Best(**entry) for entry in json.loads(self.file.read_text(encoding="utf-8"))]
        except (UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
            raise UserError(f"{self.file}: is damaged; delete it, and the next validation starts a new one") from error
        return [entry for entry in kept if (self.folder / entry.file).is_file()]

    def write(self, kept: list[Best]) -> None:
        write_text(self.file, json.dumps([asdict(entry) for entry in kept], indent=1) + "\n")

    def prune(self, keep: int) -> None:
        """Delete all but the `keep` best, and files left half-written by a kill."""
        ranked = sorted(self.read(), key=lambda entry: (-entry.score, entry.step))
        for entry in ranked[keep:]:
            (self.folder / entry.file).unlink()
        for half in self.folder.glob(".best-*.ckpt.tmp"):
            half.unlink()
        if ranked:
            self.write(ranked[:keep])


class BestCheckpoints(pl.Callback):
    """Keeps the checkpoints with the `keep` highest scores, and ends the training after `patience` validations without
    a new best.

    monitor: the score's name in the log; NaN, an undefined score, is never best. No kill can lose a checkpoint: the new
    one is on disk and in the record before an old one is deleted.
    """

    def __init__(self, folder: Path, monitor: str, keep: int = 1, patience: int | None = None):
        self.record = Record(folder)
        self.monitor = monitor
        self.keep = keep
        self.patience = patience
        self.highest = -math.inf
        self.waited = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.record.prune(self.keep)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = trainer.strategy.broadcast(float(trainer.callback_metrics.get(self.monitor, math.nan)))
        self.waited = 0 if score > self.highest else self.waited + 1
        self.highest = max(score, self.highest) if score == score else self.highest
        kept = self.record.read() if trainer.is_global_zero else []
        known = any((entry.step, entry.score) == (trainer.global_step, score) for entry in kept)  # validated again
        wanted = score == score and not known and (len(kept) < self.keep or score > min(entry.score for entry in kept))
        if trainer.strategy.broadcast(wanted):
            self.save(trainer, score, kept)
        trainer.should_stop |= self.patience is not None and self.waited >= self.patience

    def save(self, trainer: pl.Trainer, score: float, kept: list[Best]) -> None:
        name = f"best-{trainer.current_epoch}-{score:.4f}.ckpt"

        def enter(written: Path) -> None:
            with written.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            entry = Best(name, score, trainer.current_epoch, trainer.global_step, digest)
            self.record.write([*kept, entry])

        write_checkpoint(trainer, self.record.folder / name, enter)
        if trainer.is_global_zero:
            self.record.prune(self.keep)

    def state_dict(self) -> dict[str, Any]:
        return {"highest": self.highest, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.highest, self.waited = state_dict["highest"], state_dict["waited"]
