"""From options to a training: its run, its processes, its schedule, its end."""

import shlex
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner

from twinsight.console import RANK, told
from twinsight.device import Device
from twinsight.errors import Interrupted, UserError
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.training import RunOptions, TrainingOptions
from twinsight.outputs import check_folder
from twinsight.runs.directory import Run
from twinsight.training.last import End
from twinsight.training.optim import Optimization
from twinsight.training.trainer import Training, quiet


def open_run(options: RunOptions, command: str, what: str) -> Run:
    """The run that the options name: resumed, or new. Nothing is written yet.

    what: the default of --run is runs/COMMAND-WHAT-N.
    """
    if options.resume is None:
        if options.run is not None:
            check_folder("run", options.run, options, replaces=True)
        return Run.new(options.run, command, what, options.overwrite)
    if options.run is not None:
        raise UserError("--run: cannot be combined with --resume, which names the run already; leave it out")
    if options.overwrite:
        raise UserError("--overwrite: cannot be combined with --resume, which goes on with the run; leave one out")
    return Run.reopen(options.resume, options, command)


def count_processes(options: TrainingOptions) -> int:
    """How many processes will train. Raises UserError for what only one can do."""
    count = Device(options.accelerator).processes(options.devices)
    for name in ("find_lr", "find_batch_size"):
        if count > 1 and getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')}: one process searches; find it with --devices 1, then give it")
    return count


def make_training(options: Pretrain | Segment, title: str, monitor: str | None = None) -> Training:
    Device(options.accelerator)
    if options.ema is not None and options.swa is not None:
        raise UserError("--swa: cannot be combined with --ema; choose one average")
    exact = isinstance(options, Pretrain) and options.accumulate_exact
    if exact and options.accumulate == 1:
        raise UserError("--accumulate-exact: needs --accumulate 2 or more, the steps that the loss sees at once")
    if options.early_stopping is not None and monitor is None:
        raise UserError("--early-stopping: pretraining has no validation to watch; leave it out")
    return Training(
        epochs=options.epochs, seed=options.seed, max_minutes=options.max_minutes,
        checkpoint_minutes=options.checkpoint_minutes, accumulate=1 if exact else options.accumulate,
        clip=options.clip, ema=options.ema, swa=options.swa, early_stopping=options.early_stopping,
        keep=options.keep, val_every=options.val_every, precision=options.precision,
        recompute=options.checkpointing or exact, compile=options.compile, devices=options.devices,
        accelerator=options.accelerator, log=options.log, log_every=options.log_every, monitor=monitor,
        title=title,
    )  # fmt: skip


def make_optimization(options: TrainingOptions, scale: float = 1.0) -> Optimization:
    """scale: what learning rates are multiplied by."""
    warmup = min(10, options.epochs / 10) if options.warmup_epochs is None else options.warmup_epochs
    return Optimization(
        name=options.optimizer, lr=options.lr * scale,
        bias_lr=None if options.bias_lr is None else options.bias_lr * scale,
        weight_decay=options.weight_decay, momentum=options.momentum, layer_decay=options.layer_decay,
        warmup=warmup / options.epochs, final_lr=options.final_lr, fused=options.clip is None,
    )  # fmt: skip


def found_lr(module: pl.LightningModule, loader: Any, accelerator: str) -> float:
    """The rate at which the loss falls fastest in a sweep over rates (Smith, 2017)."""
    quiet()
    with TemporaryDirectory() as folder, torch.random.fork_rng():
        trainer = pl.Trainer(
            accelerator=accelerator, devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            max_epochs=1000, default_root_dir=folder,
        )  # fmt: skip
        finder = Tuner(trainer).lr_find(module, loader, num_training=60, update_attr=False)
    rate = finder.suggestion() if finder is not None else None
    if rate is None:
        raise UserError("--find-lr: the loss fell nowhere over 60 steps; give --lr")
    return rate


def announce_end(end: End, run: Run, command: str) -> None:
    """Say where the run lies, or how to go on with it. Raises Interrupted if a signal ended it."""
    if end == "done":
        told(f"{command}: done, in {run.folder}")
        return
    how = end if isinstance(end, str) else f"stopped by {end.name}"
    told(f"{command}: {how} and saved; go on with: twinsight {command} --resume {shlex.quote(str(run.folder))}")
    if isinstance(end, Signals) and RANK == 0:  # Lightning kills all processes if one but the first ends with a code
        raise Interrupted(end)
