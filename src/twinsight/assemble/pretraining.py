"""A pretraining: its plan, its parts, its loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from twinsight.assemble import planning
from twinsight.assemble.checks import Checked
from twinsight.assemble.open import make_backbone, open_model
from twinsight.assemble.opening import announce, announce_settings, computing, data_set, network, splits
from twinsight.assemble.probing import make_probing, plan_looks, seen_by_probes
from twinsight.assemble.searching import found_lr, seconds_per_step
from twinsight.assemble.training import Machine, Parts, Plan, make_optimization, make_training, train
from twinsight.backbones.integrity import intact
from twinsight.backbones.weights import save_backbone
from twinsight.console import tell
from twinsight.data.loader import Loader, ViewBatch, Views, train_loader
from twinsight.data.samples import Dataset, enough_images, usual_side
from twinsight.methods.attention_term import AttentionTerm
from twinsight.methods.method import check_method
from twinsight.options.build import build, called
from twinsight.options.commands import Pretrain
from twinsight.training.blocks import checkpoint_blocks
from twinsight.training.exact import LargeBatches
from twinsight.training.export import finished, restore
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer, losses, subjects

BACKBONE = "backbone.safetensors"
"""What a finished run of `twinsight pretrain` contains."""


@dataclass(frozen=True)
class PretrainPlan(Plan[Pretrain]):
    data: Dataset
    known: Mapping[str, Any]
    """What the method is built on beside the backbone."""
    color: bool
    """Whether workers apply color augmentation; else the device does."""
    asked: Pretrain
    """The options before settings at "auto" were chosen."""
    side: int
    """Shorter side of a usual image, in pixels."""

    @property
    def parts(self) -> int:
        """Steps that the loss sees at once."""
        return self.options.accumulate if self.options.accumulate_exact else 1

    def together(self, options: Pretrain) -> int:
        """Images per update, over all processes."""
        return options.batch * options.accumulate * self.machine.processes


@dataclass(frozen=True)
class PretrainParts(Parts[Pretrain]):
    plan: PretrainPlan
    module: Pretrainer

    def search(self) -> Pretrain:
        images = self.plan.together(self.options)
        found = found_lr(self.module, self.loader, self.plan.machine.device)
        options = replace(self.options, lr=found * self.options.lr_batch / images, find_lr=False)
        tell(f"--find-lr: {options.lr:.3g} per {options.lr_batch} images")
        self.module.optimization = optimization(options, images)
        return options

    def export(self) -> str:
        file = self.plan.run.folder / BACKBONE
        restore(self.module, self.plan.run.last)
        save_backbone(self.module.typed.trunk, file)
        return str(file)


def optimization(options: Pretrain, images: int) -> Optimization:
    """images: per update, over all processes."""
    return make_optimization(options, images / options.lr_batch)


def plan(options: Pretrain, checked: Checked[Dataset]) -> PretrainPlan:
    """Decide everything. Raises UserError for invalid options before anything is built, decoded or downloaded."""
    run = checked.run
    machine = Machine.choose(options)
    known = given(options.method, checked.data)
    with torch.device("meta"):  # shapes only: checks at once whether the parts fit
        method, _ = make_method(options, known, empty=True)
    data = checked.data()
    asked = replace(options, data=options.data.settled(data))
    options, automatic = asked.settled(len(data), side := usual_side(data), machine.processes)
    seen = seen_by_probes(options.probe_images, data)
    looks = plan_looks(options.probe, subjects(method), seen)
    if not options.find_batch_size:
        enough_images(len(data) // machine.processes, options.batch)
    ended = run.resumed and finished(run, BACKBONE, options.passes)
    complete = ended and intact(run.folder / BACKBONE)
    color = options.augment_on == "workers" or (options.augment_on == "auto" and not machine.device.cuda)
    if not complete:
        announce(
            "pretrain",
            data_set(options.data, splits(data), data),
            f"{called(options.method)}, {network(options.backbone, options.weights, run.resumed)}",
            computing(machine.device, options.precision),
            f"run {run.folder}",
        )
        if not (asked.find_batch_size or asked.time_budget):  # then they are still to be settled
            announce_settings(automatic)
    return PretrainPlan(
        "pretrain", options, run, machine, looks, seen, ended, complete, data, known, color, asked, side
    )


def given(method: Any, data: Callable[[], Dataset]) -> dict[str, Any]:
    """What a method's options say that it is built on beside the backbone."""
    found: dict[str, Any] = {}
    if "classes" in method.given:
        found["classes"] = len(data().names)
    if "teacher" in method.given:
        with torch.random.fork_rng(devices=[]):
            opened = open_model(str(method.teacher), None, "best", torch.device("cpu"), "backbone", "--method.teacher")
        found["teacher"] = opened.subjects["backbone"]
    return found


def make_method(options: Pretrain, known: Mapping[str, Any], empty: bool) -> tuple[Any, AttentionTerm | None]:
    """The method, and the attention term if requested. known: see `given`. empty: without initial weights."""
    backbone = make_backbone(options.backbone, options.weights, empty)
    if options.checkpointing:
        checkpoint_blocks(backbone)
    chosen: Any = options.method
    method = build(chosen, backbone, **known)
    check_method(method)
    term = build(options.attention) if options.attention.asked else None
    if term is not None:
        term.check(method, chosen.views.size)
    return method, term


def build_parts(plan: PretrainPlan) -> PretrainParts:
    """The model, its data, its optimizer and its probes."""
    options = plan.options
    if plan.asked.find_batch_size or plan.asked.time_budget:
        options = measured(plan)
    method, term, samples, step = model_and_data(plan, options)
    loader = loader_of(plan, options, samples)
    module = Pretrainer(method, optimization(options, plan.together(options)), term, plan.parts)
    watching = make_probing(
        plan.looks, subjects(method), plan.seen, plan.data, options.probe_size, options.probe_budget
    )
    return PretrainParts(plan, options, module, samples, loader, step, watching)


def model_and_data(plan: PretrainPlan, options: Pretrain) -> tuple[Any, AttentionTerm | None, Views, planning.Step]:
    pl.seed_everything(options.seed, verbose=False)
    method, term = make_method(options, plan.known, empty=plan.run.resumed)
    samples = Views(plan.data, method.views(), options.seed, plan.color)
    return method, term, samples, imagined_step(plan, method, term, samples)


def loader_of(plan: PretrainPlan, options: Pretrain, samples: Views) -> Loader:
    loader = train_loader(samples, options.batch, plan.machine.workers)
    return LargeBatches(loader, plan.parts) if options.accumulate_exact else loader


def measured(plan: PretrainPlan) -> Pretrain:
    """The options with the batch size that fits in memory and the epochs that fit in the time, where asked for."""
    asked, machine = plan.asked, plan.machine
    settling = partial(asked.settled, len(plan.data), plan.side, machine.processes)
    options, chosen = settling()
    if asked.find_batch_size:
        found = model_and_data(plan, options)[3].largest_batch(len(plan.data), machine.device)
        asked = replace(asked, batch_size=found, find_batch_size=False)
        settling = partial(asked.settled, len(plan.data), plan.side, machine.processes)
        options, chosen = settling()
    if asked.time_budget is not None:
        method, term, samples, _ = model_and_data(plan, options)
        module = Pretrainer(method, optimization(options, plan.together(options)), term, plan.parts)
        step = seconds_per_step(module, loader_of(plan, options, samples), machine.device, options.precision)
        options, chosen = settling(step=step / plan.parts)
    announce_settings(chosen)
    return options


def imagined_step(plan: PretrainPlan, method: Any, term: AttentionTerm | None, samples: Views) -> planning.Step:
    """A step on black views of the same sizes as those of the first image."""
    _, first = samples.tolerance.read(plan.data.image, 0)
    drawn = samples.transform(first, np.random.default_rng(plan.options.seed))

    def loss(method: nn.Module, batch: int) -> Tensor:
        views = [torch.zeros(batch, 3, *view.shape[:2], dtype=torch.uint8) for view in drawn]
        crops = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0]).expand(batch, len(views), 5)
        zeros = torch.zeros(batch, dtype=torch.int64)
        return losses(method, term, ViewBatch(views, crops, zeros, labels=zeros), 0.0)["loss"]

    slots = planning.optimizer_slots(plan.options.optimizer)
    remedies = "--find-batch-size, --checkpointing or --accumulate N --accumulate-exact"
    return planning.Step(method, loss, slots, plan.machine.autocast(), plan.parts, remedies)


def show(parts: PretrainParts) -> None:
    """What a dry run prints."""
    plan, options, backbone = parts.plan, parts.options, parts.module.typed.trunk
    steps = planning.updates(
        len(plan.data), plan.machine.processes, options.batch, options.accumulate, options.passes, plan.parts
    )
    facts = {
        "method": called(options.method),
        "backbone": f"{backbone.name}, embedding {backbone.dim}",
        "data": f"{called(options.data)}, {len(plan.data)} images, {plan.machine.workers} workers",
    }
    planning.print_plan(parts.step, options.batch, steps, facts)


def fit(parts: PretrainParts) -> Path:
    """Train and return the run's directory."""
    return train(parts, make_training(parts.options, parts.plan.machine, "pretraining"))
