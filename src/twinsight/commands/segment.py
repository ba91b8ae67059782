"""twinsight segment: images with masks -> a segmenter, on a backbone that is frozen or fine-tuned."""

from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.assemble import planning, probing
from twinsight.assemble.data import cached, make_inference, with_masks
from twinsight.assemble.open import make_model
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
from twinsight.console import RANK, told
from twinsight.data.fingerprint import fingerprint
from twinsight.data.glance import glance
from twinsight.data.loader import Pairs, train_loader
from twinsight.data.whole import whole_images
from twinsight.data.workers import choose_workers
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.judging.tables import print_scores
from twinsight.options.build import build, label
from twinsight.options.commands import Segment
from twinsight.options.ranges import check_ranges
from twinsight.report.runs import report_run
from twinsight.segmentation.inference import at_once
from twinsight.segmentation.losses import SegmentationLoss, parse
from twinsight.segmentation.metrics import Scores
from twinsight.segmentation.model import SegmentationModel, save_classes
from twinsight.training.class_scores import ClassScores
from twinsight.training.estimate import Cost, cost, largest_batch
from twinsight.training.export import MODEL, export_best, finished
from twinsight.training.last import End
from twinsight.training.replacing import Replacing
from twinsight.training.segmenter import Segmenter
from twinsight.training.unreached import freeze_unreached


def run(options: Segment) -> Scores | None:
    """The scores of the last validation; None if there was none. Raises KeyboardInterrupt after Ctrl-C."""
    check_ranges(options)
    training = make_training(options, f"segmenting with {label(options.head)}", monitor="val/mean_iou")
    device = Device(options.accelerator)
    workers = choose_workers(options.workers, count_processes(options), device.cuda)
    inference = make_inference(options)
    directory = open_run(options, "segment", f"{label(options.head)}-{options.backbone.name}")
    train = with_masks(options.data.open("train"))
    options = replace(options, data=options.data.settled(train))
    val = with_masks(options.data.open("val"))
    directory.expect({"train": fingerprint(train), "val": fingerprint(val)})
    loss = make_loss(options, train.classes)
    ended = directory.resumed and finished(directory, MODEL, options.epochs, options.early_stopping)
    if ended and intact(directory.folder / MODEL):
        return None
    glance(train, val)
    announce(
        "segment",
        data_set(options.data, splits(train, val)),
        f"{label(options.head)} on {network(options.backbone, options.weights, directory.resumed, options.freeze)}",
        computing(device, options.precision),
        f"run {directory.folder}",
    )

    pl.seed_everything(options.seed, verbose=False)
    model = make_model(options, len(train.classes))
    augmentation = build(options.augment)
    optimization = make_optimization(options)
    module = Segmenter(model, loss, len(train.classes), optimization, options.head_lr, inference, options.aux_weight)

    def cost_loss(shadow: SegmentationModel, batch: int) -> Tensor:
        return step_loss(shadow, batch, options.augment.size)

    freeze_unreached(model, cost_loss)

    def price() -> Cost:
        dtype = device.autocast_dtype(options.precision)
        return cost(model, cost_loss, planning.optimizer_slots(options), autocast=dtype)

    if options.find_batch_size:
        options.batch_size = largest_batch(price(), len(train), device.free_memory())
        options.find_batch_size = False
        told(f"--find-batch-size: {options.batch_size}")
    validation = planning.validation_memory(options, model, inference, val, device)
    pairs = Pairs(train, augmentation, options.seed)
    loader = train_loader(pairs, options.batch_size, workers)
    watching = [
        ClassScores(train.classes),
        *probing.make_probing(options, module.subjects(), val),
        Replacing(directory),
    ]
    if options.dry_run:
        levels: Any = model.head.levels
        facts = {
            "head": f"{label(options.head)} on levels {', '.join(map(str, levels))}",
            "validation": f"about {validation / 1e9:.2f} GB on whole images",
            "backbone": f"{model.backbone.name}, embedding {model.backbone.dim}, frozen: {options.freeze}",
            "data": f"{label(options.data)}, {splits(train, val)}, {len(train.classes)} classes",
        }
        steps = planning.updates(len(train), options)
        planning.print_plan(model, price(), options.batch_size, steps, facts)
        return None

    if not ended:
        planning.tell_memory(options, model, cost_loss, validation=validation)
        planning.tell_schedule(options, directory)
    end: End = "done"
    with directory.training(options, "segment"):
        if RANK == 0 and not directory.resumed:
            save_classes(directory.folder / "classes.json", train.classes, train.palette)
        if not ended:
            pairs.dataset = cached(train, options.data, options.data.train)
            if options.find_lr:
                found = found_lr(module, loader, options.accelerator)
                options.lr, options.head_lr, options.find_lr = found * options.lr / options.head_lr, found, False
                told(f"--find-lr: {options.head_lr:.3g} for the head, {options.lr:.3g} for the backbone")
                module.optimization, module.head_lr = make_optimization(options), options.head_lr
                directory.save(options, "segment")
            val_loader = whole_images(Pairs(val), lambda pixels: at_once(pixels, device.torch), workers)
            end = training.fit(module, loader, val_loader, directory, directory.resumed, watching)
        if RANK == 0:
            export_best(module, directory)
            if isinstance(end, str):  # after a signal there may be little time left
                report_run(directory.folder)
    if module.scores is not None:
        told("scores of the last validation (`twinsight evaluate` measures the best checkpoint, the one exported):")
        print_scores(module.scores, train.classes)
    announce_end(end, directory, "segment")
    return module.scores


def step_loss(model: SegmentationModel, batch: int, size: int) -> Tensor:
    """A step as far as its cost goes, on images of nothing."""
    images = torch.zeros(batch, 3, size, size, dtype=torch.uint8)
    masks = torch.zeros(batch, size, size, dtype=torch.int64)
    return torch.stack([F.cross_entropy(logits, masks) for logits in model.every_logits(images, model.heads)]).sum()


def make_loss(options: Segment, classes: tuple[str, ...]) -> SegmentationLoss:
    weights = options.class_weights
    if weights is not None and len(weights) != len(classes):
        raise UserError(f"--class-weights: {len(weights)} given, but the data set has {len(classes)} classes")
    terms = parse(options.loss)
    if weights is not None and not terms.keys() & {"cross-entropy", "focal"}:
        raise UserError(f"--class-weights: only cross-entropy and focal use them, and --loss {options.loss} is neither")
    if options.label_smoothing and "cross-entropy" not in terms:
        raise UserError(f"--label-smoothing: only cross-entropy uses it, and --loss is {options.loss}; leave it out")
    return SegmentationLoss(
        terms,
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=options.label_smoothing,
        focal_gamma=options.focal_gamma,
    )
