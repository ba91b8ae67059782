"""twinsight pretrain: a folder of images -> a self-supervised backbone."""

from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from twinsight.backbones.weights import save_backbone
from twinsight.choices.build import build
from twinsight.commands import planning, probing, setup
from twinsight.config import Pretrain
from twinsight.console import RANK, told
from twinsight.data.loader import Views, choose_workers, train_loader
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.ranges import check_ranges
from twinsight.report.runs import report_run
from twinsight.training.blocks import checkpoint_blocks
from twinsight.training.estimate import cost, largest_batch
from twinsight.training.exact import LargeBatches
from twinsight.training.pretrainer import Pretrainer, losses
from twinsight.training.trainer import finished


def run(options: Pretrain) -> Path | None:
    """The run's directory; None of a dry run. Raises KeyboardInterrupt after Ctrl-C."""
    check_ranges(options)
    pl.seed_everything(options.seed, verbose=False)
    training = setup.make_training(options, "pretraining")
    data = options.data.open("train")
    backbone = setup.make_backbone(options.backbone, options.weights)
    if options.checkpointing:
        checkpoint_blocks(backbone)
    method = build(options.method, backbone)
    device = Device(options.accelerator)
    color = options.augment_on == "workers" or (options.augment_on == "auto" and not device.cuda)
    samples = Views(data, method.views(), options.seed, color)
    processes = setup.processes(options)
    workers = choose_workers(options.workers, processes, device.cuda)
    parts = options.accumulate if options.accumulate_exact else 1

    term = None
    if options.attention.asked:
        for name in ("accumulate_exact", "checkpointing", "compile"):
            if getattr(options, name):
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: goes without --attention, which records as the backbone runs; leave it out")
        term = build(options.attention)
        term.check(method, options.method.views.size)

    drawn = samples.transform(data.image(0), np.random.default_rng(options.seed))

    def loss(method: nn.Module, batch: int) -> Tensor:
        views = [torch.zeros(batch, 3, *view.shape[:2], dtype=torch.uint8) for view in drawn]
        crops = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0]).expand(batch, len(views), 5)
        return losses(method, term, views, crops, 0.0)["loss"]

    each = None
    if options.dry_run or options.find_batch_size:
        each = cost(method, loss, planning.optimizer_slots(options), parts, device.autocast_dtype(options.precision))
        if options.find_batch_size:
            options.batch_size, options.find_batch_size = (
                largest_batch(each, len(data) // parts, device.free_memory()),
                False,
            )
            told(f"--find-batch-size: {options.batch_size}")
    if options.batch_size < 2:
        raise UserError("--batch-size 1: the loss compares the images of a batch and needs 2 or more")

    loader = train_loader(samples, options.batch_size, workers)
    if options.accumulate_exact:
        loader = LargeBatches(loader, parts)
    images = options.batch_size * options.accumulate * processes
    optimization = setup.make_optimization(options, images / options.lr_batch)
    module = Pretrainer(method, optimization, term, parts)
    if options.dry_run:
        assert each is not None  # costed above; said for the type checker
        facts = {
            "method": options.method.name, "backbone": f"{backbone.name}, embedding {backbone.dim}",
            "data": f"{options.data.name}, {len(data)} images, {workers} workers",
        }  # fmt: skip
        steps = planning.updates(len(data), options, parts)
        planning.print_plan(method, each, options.batch_size, steps, facts)
        return None

    samples.dataset = setup.cached(data, options.data, options.data.train)  # no earlier: a dry run decodes nothing
    if options.find_lr:
        found = setup.found_lr(module, loader, options.accelerator)
        options.lr, options.find_lr = found * options.lr_batch / images, False
        told(f"--find-lr: {options.lr:.3g} per {options.lr_batch} images")
        module.optimization = setup.make_optimization(options, images / options.lr_batch)
    watching = probing.make_probing(options, module.subjects(), data)
    directory = setup.open_run(options, "pretrain", f"{options.method.name}-{backbone.name}")
    if options.resume is not None and finished(directory, options.epochs):
        return directory.folder
    planning.tell_memory(options, method, loss, parts)
    end = training.fit(module, loader, None, directory, options.resume is not None, watching)
    if RANK == 0:
        save_backbone(backbone, directory.folder / "backbone.safetensors")
        probing.draw_history(directory.folder)
        report_run(directory.folder, probing.captions())
    setup.ended(end, directory, "pretrain")
    return directory.folder
