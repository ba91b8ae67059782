"""Finds why a loss or gradient is not finite: the first tensor of the step that is not."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils._pytree import tree_leaves

from twinsight.training.noise import OwnNoise

CALMER = "try a smaller --lr, --clip 1 or longer --warmup-epochs"


class Cause(NamedTuple):
    """option: the option to blame. what: the first value that is not finite. advice: what to try."""

    option: str
    what: str
    advice: str


def bad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(value.isfinite().all())


def bad_start(module: nn.Module) -> Cause | None:
    """A bad value in the initial weights."""
    named = (*module.named_parameters(), *module.named_buffers())
    name = next((name for name, value in named if bad(value)), None)
    return None if name is None else Cause("--weights", f"{name} in the initial weights", "start from other weights")


def bad_gradient(module: nn.Module, low: bool, updated: bool) -> Cause | None:
    """A bad gradient. updated: look in the weights, which already include it. low: computed below float32 precision.

    A bad gradient spreads from a layer to those before it, so the last bad layer is the cause.
    """
    named = [(name, value if updated else value.grad) for name, value in module.named_parameters()]
    names = [name for name, value in named if bad(value)]
    if not names:
        return None
    what = f"the gradient of {names[-1]}" + " in the previous update" * updated
    return Cause("--precision", what, "try --precision fp32") if low else Cause("--lr", what, CALMER)


def bad_weights(module: nn.Module) -> Cause | None:
    """A bad value in weights that became invalid some steps ago."""
    name = next((name for name, value in module.named_parameters() if bad(value)), None)
    advice = f"{CALMER}; with --log-every 1 each step is checked before its update, which finds the first bad value"
    return None if name is None else Cause("--lr", f"the loss, and by now in {name}", advice)


def bad_images(batch: Any, dataset: Any) -> Cause | None:
    """A bad image in the batch. dataset: its `entries`, if any, give the name."""
    for values in tree_leaves(batch):
        if not bad(values):
            continue
        place = next(i for i, value in enumerate(values) if bad(value))
        entries = getattr(dataset, "entries", None)
        if hasattr(batch, "ids"):
            name = f"the image {batch.ids[place]}"
        elif hasattr(batch, "indices") and entries:
            name = f"the image {entries[batch.indices[place]].id}"
        else:
            name = f"image {place} of the batch"
        return Cause("--data", name, "replace or remove it")
    return None


@torch.no_grad()
def bad_step(trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int, low: bool) -> Cause:
    """Repeats the step to find the first layer or loss term that is not finite; low: as in `bad_gradient`."""
    with trainer.precision_plugin.train_step_context():
        what = repeated(trainer, module, batch, index)
    if what is None:
        return Cause("--lr", "the loss, but not when the step was repeated", CALMER)
    if low and repeated(trainer, module, batch, index) is None:
        return Cause("--precision", f"{what}, which is finite in float32", "try --precision fp32")
    return Cause("--lr", what, CALMER)


def repeated(trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> str | None:
    """The first value of the step's forward that is not finite, in words; None if all are."""
    names = {each: name for name, each in module.named_modules()}
    found: list[str] = []

    def look(layer: nn.Module, given: Any, output: Any) -> None:
        if not found and any(map(bad, tree_leaves(output))):
            side = "input" if any(map(bad, tree_leaves(given))) else "output"
            found.append(f"the {side} of {names.get(layer, type(layer).__name__)}")

    for noise in (each for each in trainer.callbacks if isinstance(each, OwnNoise)):  # pyright: ignore[reportAttributeAccessIssue]
        noise.on_train_batch_start(trainer, module, batch, index)  # the same dropout again
    with logging_to({}, module) as terms, register_module_forward_hook(look):
        loss = module.training_step(batch, index)
    # Prefer a term of the loss to their sum.
    wrong = sorted((name for name, value in terms.items() if bad(value)), key="train/loss".__eq__)
    found += [f"{name}, after layers that are finite" for name in (*wrong, "the loss") if wrong or bad(loss)]
    return found[0] if found else None


@contextmanager
def logging_to(terms: dict[str, Any], module: Any) -> Generator[dict[str, Any]]:
    """Inside, the module logs to `terms`."""

    def log(name: str, value: Any, **_: Any) -> None:
        terms[name] = value

    def log_dict(values: dict[str, Any], **_: Any) -> None:
        terms.update(values)

    module.log, module.log_dict = log, log_dict
    try:
        yield terms
    finally:
        del module.log, module.log_dict
