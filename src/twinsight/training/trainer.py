"""Lightning's Trainer as this project uses it."""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from safetensors.torch import save_file

from twinsight.data.loader import Loader
from twinsight.errors import UserError
from twinsight.run import Run
from twinsight.training.callbacks import LastCheckpoint, StopOnNan
from twinsight.training.metrics_csv import MetricsCsv
from twinsight.training.progress import TrainingProgress
from twinsight.training.segmenter import Segmenter


@dataclass(frozen=True)
class Training:
    """How a training runs: see the options of the same names. monitor: the scalar whose best checkpoints are kept."""

    epochs: int
    max_minutes: float | None = None
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    swa: float | None = None
    early_stopping: int | None = None
    keep: int = 1
    val_every: int = 1
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    devices: int | None = None
    accelerator: str = "auto"
    log: tuple[str, ...] = ()
    log_every: int = 10
    monitor: str | None = None
    title: str = "training"

    def fit(self, module: pl.LightningModule, train: Loader, val: Loader | None, run: Run, resume: bool = False) -> bool:
        """Train to the end, or go on from the run's last checkpoint; False if Ctrl-C ended it before."""
        quiet()
        last = LastCheckpoint(run.last)
        trainer = pl.Trainer(
            default_root_dir=run.folder,
            max_epochs=self.epochs,
            max_time=timedelta(minutes=self.max_minutes) if self.max_minutes else None,
            accelerator=self.accelerator,
            devices=self.devices or ("auto" if torch.cuda.is_available() else 1),
            precision=precision(self.precision),
            accumulate_grad_batches=self.accumulate,
            gradient_clip_val=self.clip,
            check_val_every_n_epoch=self.val_every,
            log_every_n_steps=min(self.log_every, len(train)),
            logger=self.loggers(run),
            callbacks=[*self.callbacks(run), last],
            enable_checkpointing=self.monitor is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            sync_batchnorm=torch.cuda.device_count() > 1,
        )
        trainer.fit(module, train, val, ckpt_path=run.last if resume else None, weights_only=True)
        return not last.interrupted

    def callbacks(self, run: Run) -> list[pl.Callback]:
        shown = () if self.monitor is None else (self.monitor,)
        chosen: list[pl.Callback] = [
            TrainingProgress(self.title, shown),
            StopOnNan(self.log_every, run.last),
        ]
        if self.monitor is not None:
            chosen.append(
                ModelCheckpoint(
                    dirpath=run.checkpoints,
                    filename=f"best-{{epoch}}-{{{self.monitor}:.4f}}",
                    monitor=self.monitor,
                    mode="max",
                    save_top_k=self.keep,
                    auto_insert_metric_name=False,
                    save_weights_only=True,
                )
            )
            if self.early_stopping is not None:
                chosen.append(EarlyStopping(self.monitor, patience=self.early_stopping, mode="max"))
        if self.ema is not None:
            chosen.append(EMAWeightAveraging(decay=self.ema))
        if self.swa is not None:
            chosen.append(StochasticWeightAveraging(start=int(self.swa * self.epochs)))
        return chosen

    def loggers(self, run: Run) -> Sequence[Logger]:
        loggers: list[Logger] = [MetricsCsv(run.folder / "metrics.csv")]
        for name in self.log:
            try:
                if name == "tensorboard":
                    loggers.append(TensorBoardLogger(run.folder, name="", version="tensorboard"))
                else:
                    if not wandb_login():
                        os.environ.setdefault("WANDB_MODE", "offline")
                    loggers.append(WandbLogger(project="twinsight", name=run.folder.name, save_dir=run.folder))
            except (ImportError, ModuleNotFoundError) as error:
                raise UserError(f"--log {name}: not installed; run: pip install 'twinsight[{name}]'") from error
        return loggers


class StochasticWeightAveraging(WeightAveraging):
    """The mean of the weights at the ends of the epochs from `start` on (Izmailov et al., 2018), under any schedule."""

    def __init__(self, start: int):
        super().__init__()
        self.start = start

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return epoch_idx is not None and epoch_idx >= self.start


def export_best(module: Segmenter, run: Run) -> None:
    """Write model.safetensors: the model of the best checkpoint kept, or as it is where none was validated yet."""
    kept = [file for file in run.checkpoints.rglob("*.ckpt") if file != run.last]
    if kept:
        best = max(kept, key=lambda file: float(file.stem.rsplit("-", 1)[-1]))  # the score ends the name
        module.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    temporary = run.folder / "model.tmp"
    save_file({name: value.contiguous() for name, value in module.model.state_dict().items()}, temporary)
    temporary.rename(run.folder / "model.safetensors")


def precision(name: str) -> Any:
    """Lightning's name for a precision; "auto" is bfloat16 where the processor computes in it natively."""
    if name == "auto":
        name = "bf16" if native_bf16() else "fp32"
    return {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}[name]


def native_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported()


def wandb_login() -> bool:
    import wandb

    return bool(os.environ.get("WANDB_MODE") or wandb.api.api_key)


def quiet() -> None:
    """Lightning's advice is for its own users."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
