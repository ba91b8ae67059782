"""What pretraining and segmentation share: plan, parts, the loop, and how it ends."""

import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, Generic, TypeVar

import lightning.pytorch as pl
import torch

from twinsight.assemble.checks import check_searches
from twinsight.assemble.data import cached
from twinsight.assemble.looks import Look
from twinsight.assemble.planning import Step, tell_memory, tell_schedule
from twinsight.assemble.probing import draw_history
from twinsight.console import RANK, tell
from twinsight.data.loader import Loader, Pairs, Views
from twinsight.data.samples import Dataset
from twinsight.data.workers import choose_workers
from twinsight.device import Device
from twinsight.errors import Interrupted
from twinsight.options.auto import AUTO
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.training import TrainingOptions
from twinsight.report.record import Record
from twinsight.report.runs import report_run
from twinsight.report.verdict import verdict
from twinsight.runs.directory import Run
from twinsight.training.last import End
from twinsight.training.optim import Optimization
from twinsight.training.replacing import Replacing
from twinsight.training.trainer import Training

Options = TypeVar("Options", Pretrain, Segment)


@dataclass(frozen=True)
class Machine:
    """Where training runs. processes: training processes. workers: data loading workers for each."""

    device: Device
    precision: str
    processes: int
    workers: int

    @classmethod
    def choose(cls, options: Pretrain | Segment) -> "Machine":
        """Raises UserError if this machine lacks something."""
        device = Device(options.accelerator)
        processes = device.processes(options.devices)
        check_searches(options, processes)
        workers = choose_workers(options.workers, processes, device.cuda)
        return cls(device, device.precision(options.precision), processes, workers)

    def free_memory(self) -> float:
        """Bytes per process."""
        return self.device.free_memory(self.processes)

    def autocast(self) -> torch.dtype | None:
        return self.device.autocast_dtype(self.precision)


@dataclass(frozen=True)
class Plan(Generic[Options]):
    """What a training decides before anything is built.

    options: as in config.yaml; details of the data are settled in a copy. looks: the probes. seen: their images.
    ended: a resumed run has all its epochs. complete: and all its files.
    """

    command: str
    options: Options
    run: Run
    machine: Machine
    looks: Sequence[Look]
    seen: Dataset
    ended: bool
    complete: bool


@dataclass(frozen=True)
class Parts(ABC, Generic[Options]):
    """What a training has built.

    options: with the batch size found by --find-batch-size, if given. validation: its peak bytes.
    """

    plan: Plan[Options]
    options: Options
    module: pl.LightningModule
    samples: Views | Pairs
    loader: Loader
    step: Step
    watching: Sequence[pl.Callback]
    validation: int = 0

    def begin(self) -> None:
        """Write the initial files of the run directory."""

    @abstractmethod
    def search(self) -> Options:
        """Find a learning rate, set it in the module, and return options with it."""

    def val_loader(self) -> Loader | None:
        """None for a training without a validation."""
        return None

    @abstractmethod
    def export(self) -> str:
        """Write the weights; returns what was written, in words."""


def make_training(options: Pretrain | Segment, machine: Machine, title: str, monitor: str | None = None) -> Training:
    exact = isinstance(options, Pretrain) and options.accumulate_exact  # then a batch is all images of an update
    return Training(
        epochs=options.passes, seed=options.seed, max_minutes=options.max_minutes,
        checkpoint_minutes=options.checkpoint_minutes, accumulate=1 if exact else options.accumulate,
        clip=options.clip, ema=options.ema, swa=options.swa, early_stopping=options.early_stopping,
        keep=options.keep, val_every=options.val_every, precision=machine.precision,
        recompute=options.checkpointing or exact, compile=options.compile, device=machine.device,
        processes=machine.processes, log=options.log, log_every=options.log_every, monitor=monitor, title=title,
    )  # fmt: skip


def make_optimization(options: TrainingOptions, scale: float = 1.0) -> Optimization:
    """scale: factor of the learning rates."""
    assert options.layer_decay != AUTO
    warmup = min(10, options.passes / 10) if options.warmup_epochs is None else options.warmup_epochs
    return Optimization(
        name=options.optimizer, lr=options.peak_lr * scale,
        bias_lr=None if options.bias_lr is None else options.bias_lr * scale,
        weight_decay=options.weight_decay, momentum=options.momentum, layer_decay=options.layer_decay,
        warmup=warmup / options.passes, final_lr=options.final_lr, fused=options.clip is None,
    )  # fmt: skip


def train(parts: Parts[Any], training: Training) -> Path:
    """Train to the end, export the weights and write the report. Returns the run's directory."""
    plan, options = parts.plan, parts.options
    run, exported = plan.run, ""
    if not plan.ended:
        tell_memory(parts.step, options.batch, plan.machine.free_memory(), parts.validation)
        tell_schedule(options.passes, run)
    end: End = "done"
    with run.training(options, plan.command):
        if RANK == 0 and not run.resumed:
            parts.begin()
        if not plan.ended:
            parts.samples.dataset = cached(parts.samples.dataset, options.data, options.data.train)
            if options.find_lr:
                options = parts.search()
                run.save(options, plan.command)
            watching = [*parts.watching, Replacing(run)]
            end = training.fit(parts.module, parts.loader, parts.val_loader(), run, run.resumed, watching)
        if RANK == 0:
            exported = parts.export()
            if isinstance(end, str):  # after a signal there may be little time left
                draw_history(run.folder)
                report_run(run.folder)
    announce_end(end, run, plan.command, exported)
    return run.folder


def announce_end(end: End, run: Run, command: str, exported: str) -> None:
    """Print the result and what to do next. Raises Interrupted if a signal ended the training."""
    if RANK > 0 and end == "done":
        return  # the first process may still be writing the files behind the verdict
    if end == "done":
        found = verdict(Record.read(run.folder))
        tell(f"{command}: done. {' '.join(found.sentences)}")
        tell(f"run {run.folder} | weights {exported} | report {run.folder / 'report.html'}")
        for purpose, line in found.commands:
            tell(f"{purpose}:\n    {line}")
        return
    how = end if isinstance(end, str) else f"stopped by {end.name}"
    tell(f"{command}: {how} and saved; go on with: twinsight {command} --resume {shlex.quote(str(run.folder))}")
    if isinstance(end, Signals) and RANK == 0:  # Lightning kills all processes if any but the first exits with a code
        raise Interrupted(end)
