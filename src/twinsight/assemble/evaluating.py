"""A segmenter measured on a data set, and its scores kept in its run."""

from dataclasses import fields
from typing import Any

from twinsight.assemble.opening import announce, computing, data_set, images, place
from twinsight.assemble.predicting import Predictor
from twinsight.console import tell, tracked
from twinsight.data.loader import Pairs
from twinsight.data.pipes import spare_shared_memory
from twinsight.data.samples import Dataset
from twinsight.data.whole import whole_images
from twinsight.data.workers import choose_workers
from twinsight.options.commands import Evaluate
from twinsight.report import evaluations
from twinsight.report.runs import report_run
from twinsight.segmentation.metrics import ConfusionMatrix, Scores


def evaluate(options: Evaluate, predictor: Predictor, dataset: Dataset) -> tuple[Scores, dict[str, Any]]:
    """The scores of what `predictor` predicts, and what was measured on what and how; the run keeps both."""
    announce(
        "evaluate",
        f"{options.run}, {options.checkpoint} checkpoint",
        data_set(options.data, f"{options.data.val}: {images(len(dataset))}", dataset),
        computing(predictor.device, predictor.precision, trained=options.precision is None),
    )
    inference = predictor.inference
    measured = {
        "checkpoint": options.checkpoint,
        "data": place(options.data, dataset),
        "split": options.data.val,
        "images": len(dataset),
        "precision": predictor.device.precision(predictor.precision),
        **{
            field.name: str(getattr(inference, field.name))
            for field in fields(inference)
            if getattr(inference, field.name) != field.default
        },
    }
    workers = choose_workers(options.workers, gpu=predictor.device.cuda)
    scores = measure(predictor, dataset, len(dataset.classes), workers)
    try:
        evaluations.keep(options.run, measured, scores.scalars())
        report_run(options.run)
    except OSError as error:
        tell(f"evaluate: {options.run} cannot be written ({error.strerror}), so these scores are not kept in it")
    return scores, measured


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
