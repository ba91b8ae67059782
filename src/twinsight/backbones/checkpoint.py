"""What a weights file holds: its networks' tensors, read without running any of its code, and checked."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from twinsight.backbones.integrity import damaged, intact, sealed
from twinsight.errors import UserError

# Where trainings keep their networks, the one to take first: averages of the weights, as timm does, and DINO's teacher.
ENTRIES = ("state_dict_ema", "model_ema", "teacher", "student", "state_dict", "model")


class Inert:
    """Stands for what the official checkpoints hold beside tensors, which is never loaded."""


INERT: list[Any] = [
    (Inert, name)
    for name in ("argparse.Namespace", "__main__.exclude_bias_and_norm", "__mp_main__.exclude_bias_and_norm")
]
"""DINO's arguments, and a function that the optimizer of Barlow Twins refers to."""


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, by name. Raises UserError also where a number is not finite."""
    tensors = next(iter(read_entries(file).values()))
    if problem := not_finite(tensors):
        raise UserError(f"{file}: {problem}")
    return tensors


def read_entries(file: Path) -> dict[str, dict[str, Tensor]]:
    """The file's networks, the one to take first, each with its tensors by name.

    Nothing is unpickled but tensors and plain containers. Raises UserError if the file is damaged, is no weights file,
    or holds a tensor that cannot be used as it is: sparse, quantized, complex, without its numbers.
    """
    if not file.is_file():
        raise UserError(f"{file}: is no file that can be read as weights; name a .safetensors, .pth, .pt or .ckpt file")
    content = load(file)
    if damaged(file) if sealed(file) else file.suffix == ".safetensors" and not intact(file):
        raise UserError(
            f"{file}: is damaged, its checksum is that of another content; take a copy, or if a run has made it, go on "
            "with that run by --resume, which writes it anew"
        )
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no dictionary of tensors; save the network's state_dict")
    entries = {entry: content[entry] for entry in ENTRIES if isinstance(content.get(entry), dict)}
    found: dict[str, dict[str, Tensor]] = {}
    for entry, values in (entries or {"": flat(content)}).items():
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        for name, tensor in tensors.items():
            if problem := unusable(name, tensor, file.stat().st_size):
                raise UserError(f"{file}: {name} {problem}; save the network's state_dict anew")
        found[entry] = tensors
    return found


def flat(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Names through nested dictionaries, joined by dots: {"net": state_dict} holds the network as well."""
    found: dict[Any, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):  # an optimizer's state has numbers for names
            found |= {f"{name}.{inner}": tensor for inner, tensor in flat(value).items() if isinstance(inner, str)}
        else:
            found[name] = value
    return found


def load(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        with torch.serialization.safe_globals(INERT):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle promises no closed list of what a broken file raises
        if "Unsupported global" in str(error):
            problem = "holds more than tensors, and is not loaded for safety; save its state_dict alone"
        else:
            problem = f"cannot be read as weights ({type(error).__name__}); is it whole?"
        raise UserError(f"{file}: {problem}") from error


def unusable(name: object, tensor: Tensor, size: int) -> str | None:
    """Why no network can use the tensor, in words; size: of the file in bytes."""
    if not isinstance(name, str):
        return "is not the name of a tensor"
    if tensor.is_meta:
        return "has a shape but no numbers (it is on the meta device)"
    if tensor.layout != torch.strided:
        return f"is sparse ({tensor.layout})"
    if tensor.is_quantized:
        return f"is quantized ({tensor.dtype})"
    if tensor.is_complex():
        return f"is complex ({tensor.dtype})"
    if tensor.numel() * tensor.element_size() > size:
        return f"claims {tensor.numel():,} numbers, more than the file can hold"
    return None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Which tensor holds a NaN or an infinity, and how many, in words; None if there is none.

    By sums, which read each number once: some ten times as fast as `torch.isfinite`. Large numbers may add up to
    infinity, so that a sum only raises the suspicion.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not isfinite(tensor.sum(dtype=torch.float32).item()):
            bad = int((~torch.isfinite(tensor.float())).sum())
            if bad:
                return (
                    f"{name} holds {bad:,} of {tensor.numel():,} numbers that are NaN or infinite: the training that "
                    "wrote it diverged, or the file is damaged; take an earlier checkpoint"
                )
    return None


def same_kind(own: Tensor, given: Tensor) -> bool:
    """Whether one can stand for the other: of the same shape, and floats for floats."""
    return own.shape == given.shape and own.is_floating_point() == given.is_floating_point()


def load_whole(module: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Load a module's checkpoint. Raises UserError, and changes nothing, unless all tensors are there and no more."""
    own = module.state_dict()
    others = sorted(own.keys() ^ tensors.keys()) or [name for name in own if not same_kind(own[name], tensors[name])]
    if others:
        raise UserError(
            f"{file}: not weights of this run's model: {others[0]} is missing, unknown, or of another shape or type; "
            "take the file from the run that config.yaml describes"
        )
    module.load_state_dict(tensors)
