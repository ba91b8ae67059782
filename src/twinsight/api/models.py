"""Networks from Python: opened, and measured."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from twinsight.api.calls import public, takes
from twinsight.api.keywords import EvaluateKeywords
from twinsight.api.kinds import Data, Source
from twinsight.assemble.measured import classes_of, measured_on, no_segmenter
from twinsight.assemble.networks import RANDOM, check_model
from twinsight.errors import UserError
from twinsight.judging.request import judged_on
from twinsight.options.commands import Evaluate
from twinsight.options.config import read
from twinsight.options.parse import from_keywords
from twinsight.options.ranges import check_ranges

if TYPE_CHECKING:
    import torch

    from twinsight.api.evaluation import Evaluation
    from twinsight.api.model import Model
    from twinsight.device import Device


@public(weights="source", accelerator="device")
def load(
    source: str | os.PathLike[str],
    device: "str | torch.device" = "auto",
    *,
    backbone: str | None = None,
    checkpoint: Literal["best", "last"] = "best",
) -> "Model":
    """Open a network.

    Args:
        source: a run (its folder, or what `pretrain` and `segment` return); a weights file; the name of official
            weights, which `twinsight weights` lists; the name of a timm model, with its own weights; or "random:"
            before a run or a name, for the same network untrained. Weights that are not on this machine are downloaded.
        device: "auto" for a GPU where there is one, "cpu", "cuda", "cuda:1", "mps", or a `torch.device`.
        backbone: the timm model that a weights file is of, where neither the file nor its shapes tell.
        checkpoint: of a segmenter's run: the one with the best validation, or the last.

    Raises:
        UserError: for what is none of these, or cannot be read.

    Example:
        >>> model = twinsight.load("random:test_resnet", device="cpu")
        >>> model.embed(np.zeros((40, 50, 3), np.uint8)).shape
        torch.Size([1, 96])
    """
    if not isinstance(source, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may not check types)
        raise UserError(f"source: {type(source).__name__} is not a model; give a run, a weights file or a model's name")
    spec = os.fspath(source)
    check_model(spec)
    import torch

    from twinsight.api.model import Model
    from twinsight.assemble.open import open_model
    from twinsight.options.backbones import TimmOptions

    computing = device_named(device)
    given = None if backbone is None else TimmOptions(name=backbone)
    with torch.random.fork_rng(devices=[]):  # an untrained network is drawn from a seed of its own
        return Model(open_model(spec, given, checkpoint, computing.torch), computing, spec)


def device_named(device: "str | torch.device") -> "Device":
    """A device as PyTorch names it, or "auto". Raises UserError for one that this machine lacks."""
    import torch

    from twinsight.device import Device

    if device in ("auto", "gpu"):
        return Device(str(device))
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"--accelerator {device}: is not a device; give auto, cpu, cuda, cuda:1 or mps") from error
    computing = Device({"cuda": "gpu"}.get(wanted.type, wanted.type))
    computing.torch = wanted
    return computing


@public(weights="model", run="model", accelerator="device")
@takes(EvaluateKeywords, Evaluate)
def evaluate(
    model: Source, data: Data | None = None, **options: Unpack[EvaluateKeywords]
) -> "Evaluation | dict[str, Any]":
    """Measure a segmenter on a data set; with `probe`, judge a backbone without a decoder.

    A segmenter's scores are kept in its run, and shown on its page.

    Args:
        model: what `load` returned, or what it takes.
        data: as for `segment`; of a `Dataset`, its split; else the validation split. Default: what the run was trained
            on.
        **options: those of `twinsight evaluate`: `window`, `overlap`, `scales`, `flip`, `precision`, `probe`, ...

    Returns:
        An `Evaluation`; with `probe` the numbers of each judge, by its name, whose tables are printed.

    Example:
        >>> scores = twinsight.evaluate(folder / "segmenter", workers=0)
        >>> sorted(scores)[:2]
        ['frequency_weighted_iou', 'mean_accuracy']
    """
    spec = os.fspath(model) if isinstance(model, str | os.PathLike) else loaded(model).spec
    given = dict(options) | {"run": spec}
    if data is not None:
        given["data"] = options_of(data)
    elif (trained_on := data_of(model)) is not None:
        given["data"] = trained_on
    elif options.get("probe") is None:
        raise UserError("data: none given; name a folder of images with masks, or 'shapes' to try things on")
    asked: Evaluate = from_keywords(Evaluate, "evaluate", given)
    check_ranges(asked)
    if asked.probe is not None:
        judged = judged_on(asked)
        opened = loaded(model)
        from twinsight.judging.judges import judge

        return judge(asked, opened.opened, *judged).numbers
    dataset = measured_on(asked, classes_in(model, asked.checkpoint))
    opened = loaded(model)
    from twinsight.api.evaluation import Evaluation
    from twinsight.assemble.evaluating import evaluate

    scores, measured = evaluate(asked, opened.predictor(asked), dataset)
    return Evaluation(scores, dataset.classes, measured)


def options_of(data: Data) -> Any:
    """Data as the options take it; of a `Dataset`, the split that it is."""
    if isinstance(data, str | os.PathLike | Mapping):
        return data
    return replace(data.options, val=data.split)


def data_of(model: Source) -> Any:
    """The data that a model was trained on, as options; None if unknown."""
    if isinstance(model, str | os.PathLike):
        config = directory(model) / "config.yaml"
        return read(config)["data"] if config.is_file() else None
    return None if model.opened.options is None else model.opened.options.data


def classes_in(model: Source, checkpoint: str) -> tuple[str, ...]:
    """The classes of a segmenter. Raises UserError for a backbone."""
    if isinstance(model, str | os.PathLike):
        return classes_of(directory(model), checkpoint)
    if not model.classes:
        raise no_segmenter(model.name)
    return model.classes


def directory(source: "str | os.PathLike[str]") -> Path:
    """Of a run, trained or untrained."""
    return Path(os.fspath(source).removeprefix(RANDOM))


def loaded(source: Source) -> "Model":
    """A model as it is, or opened."""
    from twinsight.api.model import Model

    return source if isinstance(source, Model) else load(source)
