"""From options to the objects that several commands share."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import load_whole, read_tensors
from twinsight.backbones.integrity import intact
from twinsight.backbones.weights import load_backbone
from twinsight.choices.build import build
from twinsight.choices.data import DataOptions, FileOptions
from twinsight.choices.heads import FcnOptions
from twinsight.config import InferenceOptions, Pretrain, RunOptions, Segment, TrainingOptions
from twinsight.console import RANK, console, notes, told
from twinsight.data.cache import Cached
from twinsight.data.samples import Dataset
from twinsight.device import Device
from twinsight.errors import Interrupted, UserError
from twinsight.inference import Inference
from twinsight.metrics import Scores
from twinsight.ours import whereabouts
from twinsight.outputs import check_folder
from twinsight.recipe import parse, read
from twinsight.run import Run
from twinsight.segmentation import SegmentationModel, load_classes
from twinsight.training.blocks import checkpoint_blocks
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


def processes(options: TrainingOptions) -> int:
    """How many processes will train. Raises UserError for what only one can do."""
    count = Device(options.accelerator).processes(options.devices)
    for name in ("find_lr", "find_batch_size"):
        if count > 1 and getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')}: one process searches; find it with --devices 1, then give it")
    return count


def make_backbone(options: Any, weights: Path | None, resumed: bool = False) -> Backbone:
    """The backbone with the weights to start from; of a resumed run as it is made, since its checkpoint has them all,
    wherever the first ones have gone.
    """
    backbone = build(options, **(pretrained_off(options) if resumed else {}))
    if weights is not None and not resumed:
        load_weights(backbone, weights)
    return backbone


def load_weights(backbone: Backbone, weights: Path) -> None:
    """From a run, a file or an official name; says what of it is not loaded as it is."""
    for remark in load_backbone(backbone, weights):
        told(remark)


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


def make_inference(options: InferenceOptions) -> Inference:
    return Inference(options.window, options.overlap, options.scales, options.flip)


def load_segmenter(run: Path, checkpoint: str, device: torch.device) -> tuple[SegmentationModel, Segment]:
    """The model of a `twinsight segment` run, ready to predict, and the options it was trained with."""
    if not (run / "config.yaml").is_file():
        raise UserError(f"{run}: no run directory of `twinsight segment` (no config.yaml){whereabouts(run)}")
    options = parse(Segment, "segment", [], read(run / "config.yaml", "segment"), run / "config.yaml")
    file = run / "model.safetensors" if checkpoint == "best" else run / "checkpoints" / "last.ckpt"
    there = intact(file) if checkpoint == "best" else file.is_file()
    if not there:
        raise UserError(
            f"{file}: is {'damaged' if file.exists() else 'missing'}; end the training, or write it anew, with: "
            f"twinsight segment --resume {shlex.quote(str(run))}"
        )
    classes, _ = load_classes(run / "classes.json")
    options.weights, options.checkpointing, options.compile = None, False, False
    options.backbone = replace(options.backbone, **pretrained_off(options.backbone))
    model = make_model(options, len(classes))
    state = read_tensors(file)
    prefix = "model." if checkpoint == "last" else ""
    load_whole(model, {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}, file)
    return model.eval().to(device), options


def segmenting_precision(asked: str | None, trained: Segment, device: Device) -> str:
    """What to segment in: what is asked for, else what the run was trained and validated in."""
    return device.precision(asked or trained.precision)


def pretrained_off(backbone: Any) -> dict[str, bool]:
    """The run's own weights replace timm's: no need to download those."""
    return {"pretrained": False} if hasattr(backbone, "pretrained") else {}


def make_model(options: Segment, num_classes: int) -> SegmentationModel:
    backbone = make_backbone(options.backbone, options.weights, options.resume is not None)
    if options.checkpointing:
        checkpoint_blocks(backbone)
    if options.freeze != 0:
        backbone.freeze(options.freeze)
    shape = (backbone.dims, backbone.strides, num_classes)
    aux = None
    if options.aux_weight:
        # The last stage but one of a pyramid, two thirds of the depth of a ViT.
        pyramid = len(set(backbone.strides)) > 1
        level = len(backbone.dims) - 2 if pyramid else len(backbone.dims) * 2 // 3 - 1
        aux = build(FcnOptions(level=max(0, level)), *shape)
    model = SegmentationModel(backbone, build(options.head, *shape), aux)
    for name in ("checkpointing", "compile"):
        if getattr(options, name) and hasattr(model.head, "attention"):
            raise UserError(
                f"--{name}: cannot be combined with --head {options.head.name}, which records attention; leave it out"
            )
    return model


def print_scores(scores: Scores, classes: Sequence[str]) -> None:
    """Per class and over all, in percent."""
    rows = scores.table(classes)
    table = Table(*[str(name) for name in rows[0]])
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*[escape(value) if isinstance(value, str) else percent(value) for value in row.values()])
    console.print(table)
    totals = scores.scalars().items()
    console.print("  ".join(f"{name.replace('_', ' ')} [bold]{percent(value)}[/bold]" for name, value in totals))
    if scores.occurring < len(classes):
        console.print(f"Means are over {scores.occurring} of {len(classes)} classes: the others occur nowhere.")


def percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"  # NaN: the class occurs nowhere


def with_masks(dataset: Dataset, flag: str = "--data") -> Dataset:
    if not dataset.classes:
        raise UserError(f"{flag}: this data set has no masks; give --data.masks FOLDER, or choose one that has")
    return dataset


def cached(data: Dataset, options: DataOptions, split: str) -> Dataset:
    """The data set, out of the cache if the options name one; made where it is missing."""
    if not isinstance(options, FileOptions) or options.cache is None:
        return data
    folder = options.cache / split
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("decoding into the cache", total=len(data))
        return Cached(
            data,
            folder,
            plan=lambda size: told(f"--data.cache: {size / 1e9:.2f} GB in {folder}"),
            report=lambda done, _: progress.update(task, completed=done),
        )


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


def ended(end: End, run: Run, command: str) -> None:
    """Say where the run lies, or how to go on with it. Raises Interrupted if a signal ended it."""
    if end == "done":
        told(f"{command}: done, in {run.folder}")
        return
    how = end if isinstance(end, str) else f"stopped by {end.name}"
    told(f"{command}: {how} and saved; go on with: twinsight {command} --resume {shlex.quote(str(run.folder))}")
    if isinstance(end, Signals) and RANK == 0:  # Lightning kills all processes if one but the first ends with a code
        raise Interrupted(end)
