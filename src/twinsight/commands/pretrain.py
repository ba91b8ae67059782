"""twinsight pretrain: a folder of images -> a self-supervised backbone."""

from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from twinsight.assemble import planning, probing
from twinsight.assemble.data import cached
from twinsight.assemble.open import make_backbone
from twinsight.assemble.opening import announce, computing, data_set, network, splits
from twinsight.assemble.training import (
    announce_end,
    count_processes,
    found_lr,
    make_optimization,
    make_training,
    open_run,
)
from twinsight.backbones.integrity import intact
from twinsight.backbones.weights import save_backbone
from twinsight.console import RANK, told
from twinsight.data.fingerprint import fingerprint
from twinsight.data.glance import glance_at_images
from twinsight.data.loader import Views, train_loader
from twinsight.data.workers import choose_workers
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.options.build import build, label
from twinsight.options.commands import Pretrain
from twinsight.options.ranges import check_ranges
from twinsight.report.runs import report_run
from twinsight.training.blocks import checkpoint_blocks
from twinsight.training.estimate import Cost, cost, largest_batch
from twinsight.training.exact import LargeBatches
from twinsight.training.export import finished, restore
from twinsight.training.last import End
from twinsight.training.pretrainer import Pretrainer, losses
from twinsight.training.replacing import Replacing


def run(options: Pretrain) -> Path | None:
    """The run's directory; None of a dry run. Raises KeyboardInterrupt after Ctrl-C."""
    check_ranges(options)
    training = make_training(options, "pretraining")
    check(options)
    processes = count_processes(options)
    device = Device(options.accelerator)
    workers = choose_workers(options.workers, processes, device.cuda)
    directory = open_run(options, "pretrain", f"{label(options.method)}-{options.backbone.name}")
    data = options.data.open("train")
    options = replace(options, data=options.data.settled(data))
    directory.expect({"train": fingerprint(data)})
    export = directory.folder / "backbone.safetensors"
    ended = directory.resumed and finished(directory, export.name, options.epochs)
    if ended and intact(export):
        return directory.folder
    glance_at_images(data)
    announce(
        "pretrain",
        data_set(options.data, splits(data)),
        f"{label(options.method)}, {network(options.backbone, options.weights, directory.resumed)}",
        computing(device, options.precision),
        f"run {directory.folder}",
    )

    pl.seed_everything(options.seed, verbose=False)
    backbone = make_backbone(options.backbone, options.weights, directory.resumed)
    if options.checkpointing:
        checkpoint_blocks(backbone)
    method = build(options.method, backbone)
    color = options.augment_on == "workers" or (options.augment_on == "auto" and not device.cuda)
    samples = Views(data, method.views(), options.seed, color)
    parts = options.accumulate if options.accumulate_exact else 1

    term = build(options.attention) if options.attention.asked else None
    if term is not None:
        term.check(method, options.method.views.size)

    _, first = samples.tolerance.read(data.image, 0)
    drawn = samples.transform(first, np.random.default_rng(options.seed))

    def loss(method: nn.Module, batch: int) -> Tensor:
        views = [torch.zeros(batch, 3, *view.shape[:2], dtype=torch.uint8) for view in drawn]
        crops = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0]).expand(batch, len(views), 5)
        return losses(method, term, views, crops, 0.0)["loss"]

    def price() -> Cost:
        return cost(method, loss, planning.optimizer_slots(options), parts, device.autocast_dtype(options.precision))

    if options.find_batch_size:
        options.batch_size = largest_batch(price(), len(data) // parts, device.free_memory())
        options.find_batch_size = False
        told(f"--find-batch-size: {options.batch_size}")
        check(options)
    loader = train_loader(samples, options.batch_size, workers)
    if options.accumulate_exact:
        loader = LargeBatches(loader, parts)
    images = options.batch_size * options.accumulate * processes
    optimization = make_optimization(options, images / options.lr_batch)
    module = Pretrainer(method, optimization, term, parts)
    watching = [*probing.make_probing(options, module.subjects(), data), Replacing(directory)]
    if options.dry_run:
        facts = {
            "method": label(options.method), "backbone": f"{backbone.name}, embedding {backbone.dim}",
            "data": f"{label(options.data)}, {len(data)} images, {workers} workers",
        }  # fmt: skip
        steps = planning.updates(len(data), options, parts)
        planning.print_plan(method, price(), options.batch_size, steps, facts)
        return None

    if not ended:
        planning.tell_memory(options, method, loss, parts)
        planning.tell_schedule(options, directory)
    end: End = "done"
    with directory.training(options, "pretrain"):
        if not ended:
            samples.dataset = cached(data, options.data, options.data.train)
            if options.find_lr:
                found = found_lr(module, loader, options.accelerator)
                options.lr, options.find_lr = found * options.lr_batch / images, False
                told(f"--find-lr: {options.lr:.3g} per {options.lr_batch} images")
                module.optimization = make_optimization(options, images / options.lr_batch)
                directory.save(options, "pretrain")
            end = training.fit(module, loader, None, directory, directory.resumed, watching)
        if RANK == 0:
            restore(module, directory.last)
            save_backbone(backbone, export)
            if isinstance(end, str):  # after a signal there may be little time left
                probing.draw_history(directory.folder)
                report_run(directory.folder)
    announce_end(end, directory, "pretrain")
    return directory.folder


def check(options: Pretrain) -> None:
    """Raises UserError for options that contradict one another."""
    if options.batch_size < 2:
        raise UserError("--batch-size 1: the loss compares the images of a batch and needs 2 or more")
    for name in ("accumulate_exact", "checkpointing", "compile"):
        if options.attention.asked and getattr(options, name):
            raise UserError(
                f"--{name.replace('_', '-')}: cannot be combined with --attention, which records as the backbone runs; "
                "leave it out"
            )
