"""The first line of each command: data, weights, precision and output."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinsight.assemble.networks import RANDOM
from twinsight.console import tell
from twinsight.data.samples import Dataset
from twinsight.options.auto import Setting, shown
from twinsight.options.build import called
from twinsight.options.data import ShapesOptions

if TYPE_CHECKING:  # PyTorch takes seconds to load, and `data check` needs none
    from twinsight.device import Device


def announce(command: str, *facts: str) -> None:
    """Print what a command is about to do, in one line on stderr."""
    tell(f"{command}: {' | '.join(fact for fact in facts if fact)}")


def announce_settings(settings: Mapping[str, Setting]) -> None:
    """Print the values of options at "auto", and why."""
    for flag, (value, why) in settings.items():
        tell(f"  {flag} {shown(value)}: {why}")


def data_set(options: Any, counts: str, dataset: Dataset | None = None) -> str:
    """The data set by layout and place, and its classes; counts: how many images of which split, and why."""
    known = dataset.classes or dataset.names if dataset and not isinstance(options, ShapesOptions) else ()
    classes = f", {len(known)} classes" if known else ""
    return f"data {place(options, dataset)}{classes}, {counts}"


def place(options: Any, dataset: Dataset | None = None) -> str:
    """A data set by layout, where it is known, and place."""
    if isinstance(options, ShapesOptions):
        return "shapes (the built-in toy scenes)"
    kind = f"{dataset.title} in" if dataset and dataset.title else called(options)
    return f"{kind} {getattr(options, 'root', '')}".rstrip()


def splits(train: Dataset, val: Dataset | None = None) -> str:
    """How many images there are to train and to validate on, and how they were split."""
    if train.split_note:
        return (f"{images(len(train.relatives))}: " if train.classes and train.relatives else "") + train.split_note
    return f"{images(len(train))} to train" + ("" if val is None else f", {len(val)} to validate")


def images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def network(options: Any, weights: Path | None, resumed: bool = False, freeze: int | str = 0) -> str:
    """The backbone and the source of its weights. RANDOM is in capitals, since training or evaluating random weights
    unknowingly is a common mistake.
    """
    if resumed:
        origin = "weights of the run's last checkpoint"
    elif weights is not None:
        origin = f"weights of {weights}"
    elif getattr(options, "pretrained", False):
        origin = "timm's pretrained weights"
    else:
        origin = "RANDOM weights"
    some = f"first {freeze} blocks" if isinstance(freeze, str) or freeze > 0 else f"blocks but the last {-freeze}"
    frozen = {0: "", "all": ", frozen"}.get(freeze, f", its {some} frozen")
    return f"backbone {options.name}, {origin}{frozen}"


def weights_of(spec: str) -> str:
    """A model by its name on the command line (see `open_model`); RANDOM in capitals, as above."""
    name = spec.removeprefix(RANDOM)
    return f"{name} with RANDOM weights" if spec != name else name


def computing(device: "Device", precision: str, trained: bool = False) -> str:
    """trained: whether the precision is that of the training because none was requested."""
    return f"{device.precision(precision)}{', as in the training,' if trained else ''} on {device.torch.type}"
