"""twinsight evaluate: a trained segmenter measured on a data set, or a backbone judged without one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinsight.assemble.measured import classes_of, measured_on
from twinsight.assemble.networks import check_backbone, check_device, check_model
from twinsight.console import loading
from twinsight.data.workers import choose_workers
from twinsight.files import without_nan, write_text
from twinsight.judging.request import judged_on
from twinsight.options.commands import Evaluate
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_file

if TYPE_CHECKING:
    from twinsight.segmentation.metrics import Scores


def run(options: Evaluate) -> "Scores | dict[str, Any]":
    """The segmenter's scores; with --probe the numbers of each judge, by its name."""
    check_ranges(options)
    choose_workers(options.workers)
    if options.json is not None:
        check_file("json", options.json, options, options.overwrite)
    return measure(options) if options.probe is None else judge(options)


def measure(options: Evaluate) -> "Scores":
    classes = classes_of(options.run, options.checkpoint)
    dataset = measured_on(options, classes)
    check_device(options.accelerator)
    loading("PyTorch")
    from twinsight.assemble.evaluating import evaluate
    from twinsight.assemble.predicting import Predictor
    from twinsight.segmentation.tables import print_scores

    scores, measured = evaluate(options, Predictor.open(options), dataset)
    numbers = scores.scalars() | {"means_over": scores.occurring, "classes": scores.table(classes)}
    save(options.json, {"measured": measured} | numbers)
    print_scores(scores, classes)  # last: a closed pipe loses nothing
    return scores


def judge(options: Evaluate) -> dict[str, Any]:
    check_backbone(options.backbone.name)
    check_model(str(options.run))
    data = judged_on(options)
    check_device(options.accelerator)
    loading("PyTorch")
    from twinsight.assemble.open import open_model
    from twinsight.device import Device
    from twinsight.judging.judges import judge

    device = Device(options.accelerator).torch
    opened = open_model(str(options.run), options.backbone, options.checkpoint, device, "backbone")
    judged = judge(options, opened, *data)
    save(options.json, {"measured": judged.measured} | judged.numbers)
    return judged.numbers


def save(file: Path | None, numbers: dict[str, Any]) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(without_nan(numbers), indent=2) + "\n")
