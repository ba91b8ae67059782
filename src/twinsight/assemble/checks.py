"""Checks of a training that run before PyTorch is loaded, which takes seconds."""

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from twinsight.assemble.datasets import open_images, open_pairs
from twinsight.assemble.looks import read_looks
from twinsight.assemble.networks import check_backbone, check_device, check_teacher, check_weights
from twinsight.assemble.trained import trained_with
from twinsight.backbones.timm_names import PLAIN, class_of, no_patches
from twinsight.data.samples import Dataset
from twinsight.data.workers import choose_workers
from twinsight.errors import UserError
from twinsight.options.build import called, label
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.heads import HEADS, EomtOptions, FusionOptions
from twinsight.options.methods.distill import DistillOptions
from twinsight.options.methods.metric_learning import MetricLearningOptions
from twinsight.options.methods.untrained import UntrainedOptions
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.ranges import check_ranges
from twinsight.options.training import RunOptions
from twinsight.outputs import check_folder
from twinsight.runs.directory import Run
from twinsight.segmentation.terms import parse

T = TypeVar("T")


class Checked(NamedTuple, Generic[T]):
    """What a training starts from: its run, nothing of which is written yet, and its data.

    data: opens them, at the first call; that call is made here unless they are to be downloaded.
    """

    run: Run
    data: Callable[[], T]


def check_pretrain(options: Pretrain) -> Checked[Dataset]:
    """Raises UserError for what is missing, unknown or contradictory."""
    check_training(options)
    if options.early_stopping is not None:
        raise UserError("--early-stopping: pretraining has no validation to watch; leave it out")
    if options.accumulate_exact and options.accumulate == 1:
        raise UserError("--accumulate-exact: requires --accumulate 2 or more; raise that or leave it out")
    if options.batch_size == 1 and not options.find_batch_size:
        raise UserError("--batch-size 1: the loss compares the images of a batch; give 2 or more")
    if isinstance(options.method, DistillOptions):
        check_teacher(options.method.teacher)
    if isinstance(options.method, MetricLearningOptions) and find_spec("pytorch_metric_learning") is None:
        raise UserError(
            f"--method {label(options.method)}: requires pytorch-metric-learning, which is not installed; run: "
            "pip install 'twinsight[metric]'"
        )
    if getattr(options.method, "masks", False):
        check_plain(options)
    if isinstance(options.method, UntrainedOptions):
        refuse_training(options)
    elif options.attention.asked:
        if isinstance(options.method.views, OneViewOptions):
            raise UserError(
                f"--attention: compares two views, and --method {label(options.method)} makes one; leave it out"
            )
        given = {
            "accumulate-exact": options.accumulate_exact,
            "checkpointing": options.checkpointing,
            "compile": options.compile,
        }
        for name in (name for name, on in given.items() if on):
            raise UserError(
                f"--{name}: cannot be combined with --attention, which records as the backbone runs; leave it out"
            )
    return checked(options, "pretrain", options.method, open_images)


def refuse_training(options: Pretrain) -> None:
    """Raises UserError for what only a method that trains can do. How it would train (--epochs) is merely unused, so
    that any recipe can be run with --method none.
    """
    asked = {
        "resume": options.resume is not None,
        "attention": options.attention.asked,
        "find-lr": options.find_lr,
        "find-batch-size": options.find_batch_size,
    }
    for name in (name for name, on in asked.items() if on):
        raise UserError(f"--{name}: cannot be combined with --method none, which trains nothing; leave it out")


def check_plain(options: Pretrain) -> None:
    """Raises UserError for a network whose patches the method cannot mask."""
    name = options.backbone.name
    if name != "vit-pytorch" and class_of(name) not in PLAIN:
        raise no_patches(called(options.method), name)


def check_segment(options: Segment) -> Checked[tuple[Dataset, Dataset]]:
    """As `check_pretrain`."""
    check_training(options)
    check_loss(options)
    if options.match_parameters is not None:
        check_width(options.head, options.match_parameters)
    if options.lora.rank:
        check_lora(options)
    if isinstance(options.head, FusionOptions):
        refuse_recording(options)
    if isinstance(options.head, EomtOptions):
        refuse_losses(options)
    return checked(options, "segment", options.head, open_pairs)


def checked(options: Any, command: str, what: Any, open_data: Callable[[Any, Run], T]) -> Checked[T]:
    """what: the choice that, with the backbone, gives a run its name."""
    run = open_run(options, command, f"{label(what)}-{options.backbone.name}")
    data = cache(partial(open_data, options, run))
    if not getattr(options.data, "download", False):
        data()
    check_device(options.accelerator)
    return Checked(run, data)


def refuse_recording(options: Segment) -> None:
    """Raises UserError for options that prevent a head from recording attention."""
    for name, on in (("checkpointing", options.checkpointing), ("compile", options.compile)):
        if on:
            raise UserError(
                f"--{name}: cannot be combined with --head {label(options.head)}, which records attention; leave it out"
            )


def check_lora(options: Segment) -> None:
    """Raises UserError if nothing is left to adapt, or peft is missing."""
    if options.freeze == "all":
        raise UserError("--lora: cannot be combined with --freeze all, which leaves no layer to adapt; leave one out")
    if find_spec("peft") is None:
        raise UserError("--lora: requires peft, which is not installed; run: pip install 'twinsight[lora]'")


def check_width(head: Any, wanted: float | Path) -> None:
    """Raises UserError for a head whose width cannot be chosen, or nothing to match it to."""
    if not hasattr(head, "channels"):
        raise UserError(
            f"--match-parameters: --head {called(head)} has no width to choose; leave it out or choose another --head"
        )
    if head.channels != getattr(type(head), "channels", None) and not isinstance(head.channels, tuple):
        raise UserError("--head.channels: cannot be combined with --match-parameters, which chooses it; leave one out")
    if isinstance(wanted, Path) and str(wanted) not in HEADS:
        if not wanted.is_dir():
            raise UserError(
                f"--match-parameters {wanted}: is neither a number, nor a head, nor a run directory; give one of "
                "these, such as 2e6, deeplabv3 or runs/first"
            )
        trained_with(wanted)


def refuse_losses(options: Segment) -> None:
    """Raises UserError for options of losses that a head with a loss of its own does not use."""
    given = {
        "loss": options.loss != Segment.loss,
        "class-weights": options.class_weights is not None,
        "label-smoothing": options.label_smoothing > 0,
        "aux-weight": options.aux_weight > 0,
    }
    for name in (name for name, on in given.items() if on):
        raise UserError(
            f"--{name}: cannot be combined with --head {label(options.head)}, which has a loss of its own; leave it out"
        )


def check_training(options: Pretrain | Segment) -> None:
    check_ranges(options)
    if options.ema is not None and options.swa is not None:
        raise UserError("--swa: cannot be combined with --ema; choose one average")
    check_searches(options, options.devices or 1)
    choose_workers(options.workers, options.devices or 1)
    check_backbone(options.backbone.name)
    if options.weights is not None and options.resume is None:
        check_weights(options.weights)
    if options.probe_images is not None and not options.probe_images.is_dir():
        raise UserError(f"--probe-images {options.probe_images}: no such folder; check the path")
    read_looks(options.probe)


def check_searches(options: Pretrain | Segment, processes: int) -> None:
    """Raises UserError for searches that only one process can run."""
    searches = {
        "find-lr": options.find_lr,
        "find-batch-size": options.find_batch_size,
        "time-budget": isinstance(options, Pretrain) and options.time_budget is not None,
    }
    for name, asked in searches.items():
        if asked and processes > 1:
            raise UserError(
                f"--{name}: the search runs in one process; run it with --devices 1, then give the value it finds"
            )


def check_loss(options: Segment) -> None:
    """Raises UserError for an unknown loss, and for options that none of its terms uses."""
    terms = parse(options.loss)
    if options.class_weights is not None and not terms.keys() & {"cross-entropy", "focal"}:
        raise UserError(
            f"--class-weights: only cross-entropy and focal use them, but --loss is {options.loss}; leave them out"
        )
    if options.label_smoothing and "cross-entropy" not in terms:
        raise UserError(f"--label-smoothing: only cross-entropy uses it, but --loss is {options.loss}; leave it out")


def open_run(options: RunOptions, command: str, what: str) -> Run:
    """The run that the options name, resumed or new. Writes nothing yet.

    what: the default of --run is runs/COMMAND-WHAT-N.
    """
    if options.resume is None:
        if options.run is not None:
            check_folder("run", options.run, options, replaces=True)
        return Run.new(options.run, command, what, options.overwrite)
    if options.run is not None:
        raise UserError("--run: cannot be combined with --resume, which already names the run; leave it out")
    if options.overwrite:
        raise UserError("--overwrite: cannot be combined with --resume, which continues the run; leave one out")
    return Run.reopen(options.resume, options, command)
