"""Trainings from Python."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from twinsight.api.calls import public, takes
from twinsight.api.keywords import PretrainKeywords, SegmentKeywords
from twinsight.api.kinds import Data
from twinsight.api.run import Run
from twinsight.console import loading, without_tables
from twinsight.errors import UserError
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.config import read
from twinsight.options.parse import from_keywords


@public()
@takes(PretrainKeywords, Pretrain)
def pretrain(data: Data | None = None, **options: Unpack[PretrainKeywords]) -> Run:
    """Pretrain a backbone on images without labels.

    To interrupt it (Ctrl-C, or a notebook's stop button) is safe: it saves first, and says how to go on.

    Where data are loaded by several processes that are spawned (macOS, Windows), a script must call this under
    `if __name__ == "__main__":`. On several GPUs (`devices`), the training runs in processes of its own.

    Args:
        data: a folder of images, "shapes" (made up, to try things on), another data set's name, or a `Dataset`.
            Not needed to `resume`.
        **options: those of `twinsight pretrain`, as keywords: `method`, `backbone`, `epochs`, `batch_size`, `run`, ...
            What is chosen by name takes a mapping too: `method={"name": "dino", "prototypes": 4096}`.

    Returns:
        The run, which `load` and `segment(weights=...)` take.

    Raises:
        UserError: for bad input, in one sentence, before any work.

    Example:
        >>> run = twinsight.pretrain(
        ...     {"name": "shapes", "count": 8, "size": 32}, backbone="test_resnet", epochs=1, batch_size=4,
        ...     method={"name": "barlow-twins", "projector": [16, 16], "views": {"size": 32}}, workers=0, probe="none",
        ...     run=folder / "pretrained",
        ... )
        >>> run.finished
        True
    """
    return train(Pretrain, "pretrain", data, options)


@public()
@takes(SegmentKeywords, Segment)
def segment(data: Data | None = None, **options: Unpack[SegmentKeywords]) -> Run:
    """Train a segmentation head on a backbone, frozen or fine-tuned.

    What `pretrain` says of interrupts, scripts and several GPUs holds here too.

    Args:
        data: a folder of images with masks, "shapes" (made up, to try things on), another data set's name, or a
            `Dataset`. Not needed to `resume`.
        **options: those of `twinsight segment`, as keywords: `weights`, `head`, `freeze`, `epochs`, `run`, ...
            What is chosen by name takes a mapping too: `head={"name": "deeplabv3", "channels": 128}`.

    Returns:
        The run, which `load` takes; its `scores` are those of the best validation.

    Raises:
        UserError: for bad input, in one sentence, before any work.

    Example:
        >>> run = twinsight.segment(
        ...     {"name": "shapes", "count": 8, "val_count": 4, "size": 32}, backbone="test_resnet", epochs=1,
        ...     batch_size=4, augment={"size": 32}, workers=0, probe="none", run=folder / "segmenter",
        ... )
        >>> 0 <= run.scores["mean_iou"] <= 1
        True
    """
    return train(Segment, "segment", data, options)


def train(kind: Any, command: str, data: Data | None, options: Mapping[str, Any]) -> Run:
    """Check the options before anything slow is imported, then train: here, or in a process for each device."""
    given = dict(options)
    if (resumed := given.get("resume")) is not None:
        saved = read(Run(resumed) / "config.yaml", command)
        given = saved | given
        if data is not None:  # which have moved, perhaps
            given["data"] = saved["data"] | {"root": getattr(options_of(data, command), "root", data)}
    elif data is None:
        raise UserError("data: none given; name a folder of images, or 'shapes' to try things on")
    else:
        given["data"] = options_of(data, command)
    asked = from_keywords(kind, command, given)
    if asked.dry_run:
        raise UserError("--dry-run: is for the command line only; leave it out")
    from twinsight.assemble.checks import check_pretrain, check_segment
    from twinsight.commands import pretrain, segment

    steps: dict[str, tuple[Any, Any]] = {
        "pretrain": (check_pretrain, pretrain.train),
        "segment": (check_segment, segment.train),
    }
    check, begin = steps[command]
    checked = check(asked)
    loading("PyTorch and Lightning")
    from twinsight.api.launch import in_others
    from twinsight.device import Device

    if Device(asked.accelerator).processes(asked.devices) == 1:
        with without_tables():
            begin(asked, checked)
    else:
        in_others(asked, command, checked.run.folder)
    return Run(checked.run.folder)


def options_of(data: Data, command: str) -> Any:
    """Data as the options take it: a `Dataset` by its own options."""
    if isinstance(data, str | os.PathLike | Mapping):
        return data
    from twinsight.api.dataset import Dataset  # which somebody who has one has imported already

    if not isinstance(data, Dataset):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may not check types)
        raise UserError(
            f"data: {type(data).__name__} is not a data set; give a folder, a data set's name or file, or a Dataset"
        )
    if command == "pretrain":
        return replace(data.options, train=data.split)
    if data.split != "train":
        raise UserError(
            f"data: is the split {data.split} alone, and a segmenter trains on one split and is validated on another; "
            "open it with split='train'"
        )
    return data.options
