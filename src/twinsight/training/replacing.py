"""Replaces an older run."""

from typing import Any

import lightning.pytorch as pl

from twinsight.runs.directory import Run


class Replacing(pl.Callback):
    """Deletes the older run as soon as the new one has a checkpoint."""

    def __init__(self, run: Run):
        self.run = run

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.run.settle()
