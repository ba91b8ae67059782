"""twinsight evaluate: a trained segmenter measured on a data set, or a backbone judged without one."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from twinsight.assemble.data import make_inference
from twinsight.assemble.datasets import with_masks
from twinsight.assemble.open import load_segmenter, segmenting_precision
from twinsight.assemble.opening import announce, computing, data_set, images
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
        numbers = judge(options)
        save(options.json, numbers)
        return numbers
    config = options.run / "config.yaml"
    if config.is_file() and "head" not in read(config):
        raise no_segmenter(options.run)
    device = Device(options.accelerator)
    inference = make_inference(options)
    model, trained = load_segmenter(options.run, options.checkpoint, device.torch)
    precision = segmenting_precision(options.precision, trained, device)
    classes, _ = load_classes(options.run / "classes.json")
    scores = evaluate(options, Predictor(model, inference, device, precision), classes)
    save(options.json, scores.scalars() | {"means_over": scores.occurring, "classes": scores.table(classes)})
    print_scores(scores, classes)  # last: a closed pipe loses nothing
    return scores


def no_segmenter(source: object) -> UserError:
    return UserError(
        f"{source}: is a backbone without a segmentation head; judge it with --probe patches,linear (or attention; "
        "on a class-folder knn,linear)"
    )


def evaluate(options: Evaluate, predictor: Predictor, classes: tuple[str, ...]) -> Scores:
    """The scores on --data of what `predictor` predicts, kept in the run."""
    device, inference = predictor.device, predictor.inference
    dataset = with_masks(options.data.open("val"))
    if dataset.classes != classes:
        raise UserError(
            f"--data: its classes ({', '.join(dataset.classes[:4])}, ...) are not those that {options.run} "
            f"was trained "
            f"on ({', '.join(classes[:4])}, ...); evaluate on data with the same classes in the same order"
        )
    counts = f"{options.data.val}: {images(len(dataset))}"
    announce(
        "evaluate",
        f"{options.run}, {options.checkpoint} checkpoint",
        data_set(options.data, counts, dataset),
        computing(device, predictor.precision, trained=options.precision is None),
    )
    glance(None, dataset)
    scores = measure(predictor, dataset, len(classes), choose_workers(options.workers, gpu=device.cuda))
    measured = {
        "checkpoint": options.checkpoint,
        "data": data_set(options.data, counts, dataset).removeprefix("data "),
        "precision": device.precision(predictor.precision),
        **{
            field.name: str(getattr(inference, field.name))
            for field in fields(inference)
            if getattr(inference, field.name) != field.default
        },
    }
    try:
        evaluations.keep(options.run, measured, scores.scalars())
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
