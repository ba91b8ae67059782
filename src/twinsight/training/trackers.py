"""Logs figures, masked images and tables to trackers that support them; metrics.csv does not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from twinsight.probes.draw import Plot
from twinsight.probes.finding import Scene


def log_figure(trainer: pl.Trainer, name: str, plot: Plot, file: Path) -> None:
    """Log a figure. name: such as "attention/block12"; file: the figure, already written as PNG."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, plot.figure(), trainer.global_step)
        elif isinstance(logger, WandbLogger):
            import wandb

            log(logger, trainer, {name: wandb.Image(str(file))})


def log_scenes(trainer: pl.Trainer, name: str, scenes: Sequence[Scene]) -> None:
    """Log images with masks, which W&B shows and hides by class."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and scenes:
            import wandb

            log(logger, trainer, {name: [wandb.Image(scene.image, masks=masks(scene)) for scene in scenes]})


def masks(scene: Scene) -> dict[str, Any]:
    labels = dict(enumerate(scene.classes)) | {255: "void"}
    return {name: {"mask_data": mask, "class_labels": labels} for name, mask in scene.masks.items()}


def log_table(trainer: pl.Trainer, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Log a table. rows: dictionaries with the same keys."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            header = list(rows[0])
            lines = [header, ["---"] * len(header), *([cell(value) for value in row.values()] for row in rows)]
            text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
            logger.experiment.add_text(name, text, trainer.global_step)
        elif isinstance(logger, WandbLogger):
            import wandb

            log(logger, trainer, {name: wandb.Table(list(rows[0]), [list(row.values()) for row in rows])})


def cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def log(logger: WandbLogger, trainer: pl.Trainer, content: dict[str, Any]) -> None:
    """Log with this step, under the key that Lightning uses for it."""
    logger.experiment.log(content | {"trainer/global_step": trainer.global_step})
