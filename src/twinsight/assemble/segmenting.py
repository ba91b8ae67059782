"""A training with masks: its plan, its parts, its loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import Tensor, nn

from twinsight.assemble import planning
from twinsight.assemble.checks import Checked
from twinsight.assemble.data import make_inference
from twinsight.assemble.matching_size import matched
from twinsight.assemble.open import make_model
from twinsight.assemble.opening import announce, announce_settings, computing, data_set, network, splits
from twinsight.assemble.probing import make_probing, plan_looks, seen_by_probes
from twinsight.assemble.searching import found_lr
from twinsight.assemble.training import Machine, Parts, Plan, make_optimization, make_training, train
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.integrity import intact
from twinsight.backbones.light_timm import Eva, VisionTransformer
from twinsight.console import notes, tell
from twinsight.data.balance import class_pixels, median_frequency, rarity
from twinsight.data.loader import Loader, Pairs, train_loader
from twinsight.data.samples import Dataset, enough_images
from twinsight.data.whole import whole_images
from twinsight.errors import UserError
from twinsight.heads.head import Head, runs_blocks
from twinsight.options.build import build, called
from twinsight.options.commands import Segment
from twinsight.options.lora import LoraOptions
from twinsight.options.segment import Start
from twinsight.segmentation.classes import save_classes
from twinsight.segmentation.inference import Inference, at_once
from twinsight.segmentation.losses import SegmentationLoss
from twinsight.segmentation.model import SegmentationModel
from twinsight.segmentation.tables import print_scores
from twinsight.segmentation.terms import parse
from twinsight.training.class_scores import ClassScores
from twinsight.training.export import MODEL, export_best, finished
from twinsight.training.segmenter import Segmenter
from twinsight.training.unreached import freeze_unreached


@dataclass(frozen=True)
class SegmentPlan(Plan[Segment]):
    train: Dataset
    val: Dataset
    loss: SegmentationLoss
    odds: np.ndarray | None
    inference: Inference


@dataclass(frozen=True)
class SegmentParts(Parts[Segment]):
    plan: SegmentPlan
    module: Segmenter

    def begin(self) -> None:
        save_classes(self.plan.run.folder / "classes.json", self.plan.train.classes, self.plan.train.palette)

    def search(self) -> Segment:
        found = found_lr(self.module, self.loader, self.plan.machine.device)
        lr = found * self.options.peak_lr / self.options.peak_head_lr
        options = replace(self.options, lr=lr, head_lr=found, find_lr=False)
        tell(f"--find-lr: {found:.3g} for the head, {lr:.3g} for the backbone")
        self.module.optimization, self.module.head_lr = make_optimization(options), found
        return options

    def val_loader(self) -> Loader:
        machine = self.plan.machine
        return whole_images(Pairs(self.plan.val), lambda pixels: at_once(pixels, machine.device.torch), machine.workers)

    def export(self) -> str:
        run, scores = self.plan.run, self.module.scores
        best = export_best(self.module, run, build(self.options.lora).merged)
        if scores is not None:
            tell("scores of the last validation (`twinsight evaluate` measures the best checkpoint, the one exported):")
            print_scores(scores, self.plan.train.classes)
        of = "" if best is None else f" (mean IoU {best.score:.1%}, epoch {best.epoch + 1})"
        return f"{run.folder / MODEL}{of}"


def plan(options: Segment, checked: Checked[tuple[Dataset, Dataset]]) -> SegmentPlan:
    """Decide everything. Raises UserError for invalid options before anything is built, decoded or downloaded."""
    run = checked.run
    machine = Machine.choose(options)
    inference = make_inference(options)
    with torch.device("meta"):  # shapes only: checks at once whether the parts fit
        sketch = make_model(options, 2, empty=True)
    train, val = checked.data()
    images = len(train) // machine.processes
    automatic = {"--batch-size": options.auto_batch(images)} if options.batch_size == "auto" else {}
    batch = automatic["--batch-size"].value if automatic else options.batch_size
    options = replace(options, data=options.data.settled(train), batch_size=batch)
    options, suited = options.settled(start(options, len(train), sketch.backbone))
    options = matched(options, sketch.backbone, len(train.classes))
    balanced = options.class_weights == "auto" or options.sampling == "rarity"
    pixels = counted(train) if balanced else None
    loss = make_loss(options, train.classes, pixels)
    odds = rarity(pixels) if pixels is not None and options.sampling == "rarity" else None
    seen = seen_by_probes(options.probe_images, val)
    looks = plan_looks(options.probe, subjects(sketch), seen)
    if not options.find_batch_size:
        enough_images(images, options.batch)
    ended = run.resumed and finished(run, MODEL, options.passes, options.early_stopping)
    complete = ended and intact(run.folder / MODEL)
    if not complete:
        announce(
            "segment",
            data_set(options.data, splits(train, val), train),
            f"{called(options.head)} on {network(options.backbone, options.weights, run.resumed, options.freeze)}",
            computing(machine.device, options.precision),
            f"run {run.folder}",
        )
        announce_settings(automatic | suited)
        tell_adapters(options.lora, sketch.backbone)
    return SegmentPlan(
        "segment", options, run, machine, looks, seen, ended, complete, train, val, loss, odds, inference
    )


def start(options: Segment, images: int, backbone: Backbone) -> Start:
    """What settings at "auto" follow from. Weights of a run are one's own; all others come from elsewhere."""
    elsewhere = options.weights is not None and not (options.weights / "config.yaml").is_file()
    pretrained = elsewhere or getattr(options.backbone, "pretrained", False)
    return Start(images, pretrained, isinstance(backbone.network, VisionTransformer | Eva))


def tell_adapters(lora: LoraOptions, backbone: nn.Module) -> None:
    if lora.rank:
        sizes = [(each.numel(), each.requires_grad) for each in backbone.parameters()]
        adapters, own = (sum(size for size, trained in sizes if trained == kind) for kind in (True, False))
        tell(
            f"  --lora.rank {lora.rank}: trains {adapters:,} parameters in adapters; the backbone's {own:,} are frozen"
        )


def counted(train: Dataset) -> np.ndarray:
    """(N, C) pixels of each class in each training mask. Raises UserError if no mask holds any class."""
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("counting classes", total=len(train))
        pixels = class_pixels(train, lambda done: progress.update(task, completed=done))
    if not pixels.any():
        raise UserError(
            "--data: all training masks are void, so no class can be counted; correct the masks or the data options"
        )
    return pixels


def make_loss(options: Segment, classes: Sequence[str], pixels: np.ndarray | None) -> SegmentationLoss:
    """pixels: (N, C), as `counted` returns them, where the class weights follow from them."""
    weights = options.class_weights
    if weights == "auto":
        weights = tuple(median_frequency(cast(np.ndarray, pixels)).tolist())
        tell(f"--class-weights: {', '.join(f'{name} {weight:.2g}' for name, weight in zip(classes, weights))}")
    return SegmentationLoss(
        parse(options.loss),
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=options.label_smoothing,
        focal_gamma=options.focal_gamma,
    )


def subjects(model: SegmentationModel) -> Mapping[str, nn.Module]:
    """The modules for probes."""
    return {"segmenter": model, "network": model, "backbone": model.backbone}


def build_parts(plan: SegmentPlan) -> SegmentParts:
    """The model, its data, its optimizer and its probes."""
    options, machine, classes = plan.options, plan.machine, plan.train.classes
    pl.seed_everything(options.seed, verbose=False)
    model = make_model(options, len(classes), empty=plan.run.resumed)
    augmentation = build(options.augment)
    module = Segmenter(
        model,
        plan.loss,
        len(classes),
        make_optimization(options),
        options.peak_head_lr,
        plan.inference,
        options.aux_weight,
    )

    def loss(shadow: SegmentationModel, batch: int) -> Tensor:
        return step_loss(shadow, batch, options.augment.size)

    freeze_unreached(model, loss)
    step = planning.Step(model, loss, planning.optimizer_slots(options.optimizer), machine.autocast())
    if options.find_batch_size:
        options = replace(
            options, batch_size=step.largest_batch(len(plan.train), machine.device), find_batch_size=False
        )
    validation = planning.validation_memory(step, plan.inference, plan.val, machine.device)
    samples = Pairs(plan.train, augmentation, options.seed, plan.odds)
    loader = train_loader(samples, options.batch, machine.workers)
    watching = [
        ClassScores(classes),
        *make_probing(plan.looks, subjects(model), plan.seen, plan.val, options.probe_size, options.probe_budget),
    ]

    return SegmentParts(plan, options, module, samples, loader, step, watching, validation)


def step_loss(model: SegmentationModel, batch: int, size: int) -> Tensor:
    """A step on black images of `size` pixels, to estimate its cost."""
    images = torch.zeros(batch, 3, size, size, dtype=torch.uint8)
    masks = torch.zeros(batch, size, size, dtype=torch.int64)
    return torch.stack(model.losses(images, masks, F.cross_entropy)).sum()


def show(parts: SegmentParts) -> None:
    """What a dry run prints."""
    plan, options, model = parts.plan, parts.options, parts.module.model
    train, classes = plan.train, len(plan.train.classes)
    facts = {
        "head": f"{called(options.head)} on {read_by(model.head)}",
        "validation": f"about {planning.size(parts.validation)} on whole images",
        "backbone": f"{model.backbone.name}, embedding {model.backbone.dim}, frozen: {options.freeze}",
        "data": f"{called(options.data)}, {splits(train, plan.val)}, {classes} classes",
    }
    steps = planning.updates(len(train), plan.machine.processes, options.batch, options.accumulate, options.passes)
    planning.print_plan(parts.step, options.batch, steps, facts)


def read_by(head: nn.Module) -> str:
    """What a head takes of the backbone, in words."""
    if runs_blocks(head):
        return f"the tokens before the last {head.last_blocks} blocks"
    return f"levels {', '.join(map(str, cast(Head, head).levels))}"


def fit(parts: SegmentParts) -> Path:
    """Train and return the run's directory."""
    title = f"segmenting with {called(parts.options.head)}"
    return train(parts, make_training(parts.options, parts.plan.machine, title, monitor="val/mean_iou"))
