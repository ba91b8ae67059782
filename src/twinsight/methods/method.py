"""What pretraining requires of a self-supervised method."""

import inspect
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.errors import UserError


class Method(Protocol):
    """An `nn.Module` with these members; `check_method` names missing ones.

    trunk: the backbone that probes inspect, and that is exported after training.
    """

    trunk: Backbone

    def views(self) -> MultiView:
        """The augmentation that makes the views of an image."""
        ...

    def __call__(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: one (B, 3, H, W) batch per view, uint8 or float in [0, 1]. progress: 0 to 1 over the run.

        A method that takes `labels` too gets them by that name: (B,) int64, each image's class. Its constructor may
        take `classes`, their number.

        Returns "loss", a scalar with a gradient, and any other scalars to log.
        """
        ...


@runtime_checkable
class AfterBackward(Protocol):
    """A method that edits the gradients of each update before clipping."""

    def after_backward(self, progress: float) -> None: ...


@runtime_checkable
class AfterStep(Protocol):
    """A method that changes something after each update, such as a teacher that follows its student."""

    def after_step(self, progress: float) -> None: ...


class Projecting(Protocol):
    """A method that gives probes the projections that its loss compares."""

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D)."""
        ...


def is_method(model: object) -> TypeGuard[Method]:
    """Whether a probe's model is a method rather than only a backbone."""
    return hasattr(model, "views")


def projects(model: object) -> TypeGuard[Projecting]:
    """Whether a method has `project`, which may be a submodule; `isinstance` misses those since Python 3.12."""
    return callable(getattr(model, "project", None))


def wants_labels(method: nn.Module) -> bool:
    """Whether a method learns from classes."""
    return "labels" in inspect.signature(method.forward).parameters


def check_method(module: nn.Module) -> None:
    """Raises UserError for a module that lacks a member of `Method`."""
    lacks = {
        "trunk (the backbone to train)": not isinstance(getattr(module, "trunk", None), nn.Module),
        "views() (its augmentation)": not callable(getattr(module, "views", None)),
        "forward(views, progress) (which returns the loss)": not takes(
            module.forward, "views", "progress", *(["labels"] if wants_labels(module) else [])
        ),
    }
    if missing := [part for part, lacking in lacks.items() if lacking]:
        raise UserError(
            f"--method: {type(module).__name__} lacks {' and '.join(missing)}; add what is missing to the class"
        )


def scalars_of(method: nn.Module, returned: Any) -> dict[str, Tensor]:
    """What a method's forward returned. Raises UserError unless it is a "loss" and other scalars, all tensors."""
    name = f"--method: {type(method).__name__}'s forward"
    if not isinstance(returned, dict):
        raise UserError(f'{name} must return a dict with "loss", not {what(returned)}; return {{"loss": loss}}')
    if "loss" not in returned:
        raise UserError(f'{name} returned no "loss", only {", ".join(map(str, returned)) or "an empty dict"}; add it')
    for key, value in returned.items():
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise UserError(f'{name} returned {what(value)} as "{key}"; make it a tensor of one number')
    return returned


def what(value: Any) -> str:
    """A value in words; a tensor may be one of an estimate of memory, whose class would puzzle."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def takes(function: Any, *names: str) -> bool:
    """Whether a function accepts these arguments, the first by position, the others by name."""
    try:
        inspect.signature(function).bind(None, **dict.fromkeys(names[1:]))
    except TypeError:
        return False
    return True
