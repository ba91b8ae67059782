"""Lightning's Trainer, configured for this project."""

import errno
import logging
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging

from twinsight.console import RANK, tell
from twinsight.data.loader import Loader
from twinsight.data.pipes import spare_shared_memory
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.runs.directory import Run
from twinsight.training.best import BestCheckpoints
from twinsight.training.compiling import Compiling
from twinsight.training.finite import StopOnNan
from twinsight.training.last import End, LastCheckpoint
from twinsight.training.loggers import loggers
from twinsight.training.lone_taps import LoneTaps
from twinsight.training.noise import OwnNoise
from twinsight.training.progress import TrainingProgress
from twinsight.training.recomputing import Recomputing
from twinsight.training.signals import Signals, Stopped

LIGHTNING: Any = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
"""Lightning's names for precisions."""


@dataclass(frozen=True)
class Training:
    """How a training runs; see the options of the same names.

    recompute: whether the backward recomputes activations. monitor: the scalar that selects the best checkpoints.
    title: shown in front of the progress.
    """

    epochs: int
    seed: int = 0
    max_minutes: float | None = None
    checkpoint_minutes: float = 10.0
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    swa: float | None = None
    early_stopping: int | None = None
    keep: int = 1
    val_every: int = 1
    precision: str = "auto"
    recompute: bool = False
    compile: bool = False
    device: Device = field(default_factory=Device)
    processes: int = 1
    log: tuple[str, ...] = ()
    log_every: int = 10
    monitor: str | None = None
    title: str = "training"

    def fit(
        self,
        module: pl.LightningModule,
        train: Loader,
        val: Loader | None,
        run: Run,
        resume: bool = False,
        watching: Sequence[pl.Callback] = (),
    ) -> End:
        """Train to the end, or continue from the run's last checkpoint; `watching`: callbacks that only observe.

        Raises UserError for errors that the user can fix. The run's files are kept whatever happens.
        """
        quiet()
        module.to(memory_format=torch.channels_last)  # like the images; makes convolutions twice as fast
        signals = Signals()
        last = LastCheckpoint(run.last, train, signals, self.max_minutes, self.checkpoint_minutes)
        for loader in (train, val):
            if loader is not None:
                # Its own generator, so that starting an epoch does not use the training's.
                loader.generator = torch.Generator()
                loader.pin_memory = self.device.cuda
                if remark := spare_shared_memory(loader, self.processes):
                    tell(remark)
        trainer = pl.Trainer(
            default_root_dir=run.folder,
            max_epochs=self.epochs,
            accelerator=self.device.name,
            devices=self.processes,
            precision=LIGHTNING[self.device.precision(self.precision)],
            accumulate_grad_batches=self.accumulate,
            gradient_clip_val=self.clip,
            check_val_every_n_epoch=self.val_every,
            log_every_n_steps=min(self.log_every, max(1, len(train) // self.processes)),
            logger=loggers(run, self.log),
            callbacks=[*self.callbacks(run), *watching, last],
            enable_checkpointing=False,  # our own, see `checkpoints`
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            sync_batchnorm=self.device.sync_batchnorm(self.processes),
            plugins=processes_of_our_own(self.processes),
        )
        try:
            with signals, suppress(Stopped):
                trainer.fit(module, train, val, ckpt_path=run.last if resume else None, weights_only=True)
        except SystemExit as error:  # Lightning raises it at a second Ctrl-C
            raise KeyboardInterrupt from error
        except (UserError, ValueError, RuntimeError, OSError) as error:
            if run.last.is_file():
                tell(f"{run.folder}: saved up to its last checkpoint; continue with --resume {run.folder}")
            raise explained(error) from error
        return last.end

    def callbacks(self, run: Run) -> list[pl.Callback]:
        shown = () if self.monitor is None else (self.monitor,)
        chosen: list[pl.Callback] = [OwnNoise(self.seed), StopOnNan(self.log_every, run.last)]
        if self.device.torch.type == "cpu" and self.device.precision(self.precision) == "bf16":
            chosen.append(LoneTaps())
        if self.recompute:
            chosen.append(Recomputing())
        if self.compile:
            chosen.append(Compiling())
        if RANK == 0:
            chosen.append(TrainingProgress(self.title, shown, self.device))
        if self.monitor is not None:
            chosen.append(BestCheckpoints(run.checkpoints, self.monitor, self.keep, self.early_stopping))
        if self.ema is not None:
            chosen.append(EMAWeightAveraging(decay=self.ema))
        if self.swa is not None:
            chosen.append(StochasticWeightAveraging(start=int(self.swa * self.epochs)))
        return chosen


def processes_of_our_own(processes: int) -> LightningEnvironment | None:
    """Starts processes itself in a SLURM job of one task, where Lightning would wait for SLURM and train in one."""
    alone = processes > 1 and os.environ.get("SLURM_NTASKS") == "1"
    return LightningEnvironment() if alone else None


class StochasticWeightAveraging(WeightAveraging):
    """The mean of the weights at the end of each epoch from `start` on (Izmailov et al., 2018), under any
    schedule; before that, the weights themselves.
    """

    def __init__(self, start: int):
        super().__init__()
        self.start = start

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        assert self._average_model is not None
        if trainer.current_epoch <= self.start:
            self._average_model.n_averaged.zero_()  # the next update copies
        if trainer.current_epoch < self.start or trainer.is_last_batch:
            self._average_model.update_parameters(trainer.lightning_module)

    def on_train_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: updated at the last batch, so that validation uses the mean."""


def explained(error: Exception) -> Exception:
    """A UserError for errors that the user can fix, else the error itself."""
    text = str(error)
    if "more than 1 value per channel" in text:
        return UserError("--batch-size: too small for batch norm, which requires more than one value; give 2 or more")
    if isinstance(error, torch.OutOfMemoryError):
        return UserError("--batch-size: does not fit in memory; give a smaller one, or --find-batch-size")
    if "DataLoader worker" in text:  # torch's words if a worker dies
        how = re.search(r"killed by signal: (\w+)", text)
        return UserError(
            f"--workers: a process that loads data died{f' (signal: {how[1]})' if how else ''}, usually because memory "
            "ran out; give fewer --workers, or close other programs"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"{error.filename or 'disk'}: no space left; free disk space, then continue with --resume")
    return error


def quiet() -> None:
    """Silences Lightning's advice, which is for its own users."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
