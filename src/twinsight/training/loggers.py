"""The loggers of a run: metrics.csv always, TensorBoard and W&B on request."""

import os
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import yaml
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from twinsight.console import RANK
from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.runs.directory import Run
from twinsight.training.metrics_csv import MetricsCsv


def loggers(run: Run, names: Sequence[str]) -> list[Logger]:
    """The loggers of a run. Raises UserError if one is not installed."""
    made: list[Logger] = [MetricsCsv(run.folder / "metrics.csv")]
    for name in names:
        try:
            if name == "tensorboard":
                made.append(TensorBoardLogger(run.folder, name="", version="tensorboard"))
            else:
                made.append(wandb_logger(run))
        except ImportError as error:
            raise UserError(f"--log {name}: not installed; run: pip install 'twinsight[{name}]'") from error
    return made


def wandb_logger(run: Run) -> WandbLogger:
    """One W&B run per run directory, even if resumed, with all options as hyperparameters."""
    return WandbLogger(
        run.folder.name,
        save_dir=run.folder,
        project="twinsight",
        mode=wandb_mode(),
        id=wandb_id(run.folder / "wandb" / "run-id.txt"),
        resume="allow",
        config=yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8")),
        allow_val_change=True,  # a resumed run may have more epochs
    )


def wandb_mode() -> str:
    """WANDB_MODE if set, else online if the user is logged in. Asks neither the user nor the network."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    import wandb

    return "online" if wandb.login(prompt=False, verify=False) else "offline"


def wandb_id(file: Path) -> str:
    """The run's id in W&B, kept in `file`."""
    if file.is_file():
        return file.read_text(encoding="utf-8")
    made = token_hex(4)
    if RANK == 0:  # the only process that logs
        file.parent.mkdir(exist_ok=True)
        write_text(file, made)
    return made
