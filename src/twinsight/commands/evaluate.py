"""twinsight evaluate: a trained segmenter measured on a data set, or a backbone judged without one."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from twinsight.assemble.data import make_inference
from twinsight.assemble.datasets import with_masks
from twinsight.assemble.open import load_segmenter, segmenting_precision, trained_with
from twinsight.assemble.opening import announce, computing, data_set, images, place
from twinsight.assemble.predicting import Predictor
from twinsight.console import tell, tracked
from twinsight.data.glance import glance
from twinsight.data.loader import Pairs
from twinsight.data.pipes import spare_shared_memory
from twinsight.data.samples import Dataset
from twinsight.data.whole import whole_images
from twinsight.data.workers import choose_workers
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.files import without_nan, write_text
from twinsight.judging.judges import judge
from twinsight.options.commands import Evaluate
from twinsight.options.config import read
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_file
from twinsight.report import evaluations
from twinsight.report.runs import report_run
from twinsight.segmentation.metrics import ConfusionMatrix, Scores
from twinsight.segmentation.model import load_classes
from twinsight.segmentation.tables import print_scores


def run(options: Evaluate) -> Scores | dict[str, Any]:
    """The segmenter's scores; with --probe the numbers of each judge, by its name."""
    check_ranges(options)
    if options.json is not None:
        check_file("json", options.json, options, options.overwrite)
    if options.probe is not None:
        judged = judge(options)
        save(options.json, {"measured": judged.measured} | judged.numbers)
        return judged.numbers
    config = options.run / "config.yaml"
    if config.is_file() and "head" not in read(config):
        raise no_segmenter(options.run)
    device = Device(options.accelerator)
    inference = make_inference(options)
    trained = trained_with(options.run)
    classes, _ = load_classes(options.run / "classes.json")
    precision = segmenting_precision(options.precision, trained, device)
    task = prepare(options, classes, device, precision)
    model, _ = load_segmenter(options.run, options.checkpoint, device.torch)
    scores = evaluate(options, Predictor(model, inference, device, precision), task)
    numbers = scores.scalars() | {"means_over": scores.occurring, "classes": scores.table(classes)}
    save(options.json, {"measured": task.measured} | numbers)
    print_scores(scores, classes)  # last: a closed pipe loses nothing
    return scores


def no_segmenter(source: object) -> UserError:
    return UserError(
        f"{source}: is a backbone without a segmentation head; judge it with --probe patches,linear (or attention; "
        "on a class-folder knn,linear)"
    )


class Task(NamedTuple):
    """measured: what is measured on what and how, as it is kept beside the scores."""

    dataset: Dataset
    measured: dict[str, Any]


def prepare(options: Evaluate, classes: tuple[str, ...], device: Device, precision: str) -> Task:
    """The data, looked at before a model is loaded. Raises UserError for data that a model of `classes` cannot be
    measured on.
    """
    dataset = with_masks(options.data.open("val"))
    if dataset.classes != classes:
        raise UserError(
            f"--data: its classes ({', '.join(dataset.classes[:4])}, ...) are not those that {options.run} was trained "
            f"on ({', '.join(classes[:4])}, ...); evaluate on data with the same classes in the same order"
        )
    announce(
        "evaluate",
        f"{options.run}, {options.checkpoint} checkpoint",
        data_set(options.data, f"{options.data.val}: {images(len(dataset))}", dataset),
        computing(device, precision, trained=options.precision is None),
    )
    glance(None, dataset)
    inference = make_inference(options)
    measured = {
        "checkpoint": options.checkpoint,
        "data": place(options.data, dataset),
        "split": options.data.val,
        "images": len(dataset),
        "precision": device.precision(precision),
        **{
            field.name: str(getattr(inference, field.name))
            for field in fields(inference)
            if getattr(inference, field.name) != field.default
        },
    }
    return Task(dataset, measured)


def evaluate(options: Evaluate, predictor: Predictor, task: Task) -> Scores:
    """The scores of what `predictor` predicts, kept in the run."""
    workers = choose_workers(options.workers, gpu=predictor.device.cuda)
    scores = measure(predictor, task.dataset, len(task.dataset.classes), workers)
    try:
        evaluations.keep(options.run, task.measured, scores.scalars())
        report_run(options.run)
    except OSError as error:
        tell(f"evaluate: {options.run} cannot be written ({error.strerror}), so these scores are not kept in it")
    return scores


def measure(predictor: Predictor, dataset: Dataset, classes: int, workers: int) -> Scores:
    """Every pixel of a data set, by its class and the predicted one."""
    confusion = ConfusionMatrix(classes)
    loader = whole_images(Pairs(dataset), predictor.at_once, workers)
    if remark := spare_shared_memory(loader):
        tell(remark)
    for batch in tracked(loader, "evaluating", len(loader)):
        assert batch.masks is not None
        confusion.update(predictor.masks(batch.images), batch.masks.to(predictor.device.torch))
    return confusion.compute()


def save(file: Path | None, numbers: dict[str, Any]) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(without_nan(numbers), indent=2) + "\n")
