"""Reads and checks the tensors of a weights file without running any code in it."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from twinsight.backbones.integrity import damaged, intact, sealed
from twinsight.errors import UserError

# Keys under which trainings save networks, preferred first: averaged weights, as timm prefers, and DINO's teacher.
ENTRIES = ("state_dict_ema", "model_ema", "teacher", "student", "state_dict", "model")


class Inert:
    """Stands in for non-tensor objects in official checkpoints, which are never loaded."""


INERT: list[Any] = [
    (Inert, name)
    for name in ("argparse.Namespace", "__main__.exclude_bias_and_norm", "__mp_main__.exclude_bias_and_norm")
]
"""DINO's arguments, and a function that Barlow Twins' optimizer refers to."""


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, by name. Raises UserError as `read_entries` does, or if a value is not finite."""
    tensors = next(iter(read_entries(file).values()))
    if problem := not_finite(tensors):
        raise UserError(f"{file}: {problem}")
    return tensors


def read_entries(file: Path) -> dict[str, dict[str, Tensor]]:
    """The file's networks, the preferred one first, each with its tensors by name.

    Only tensors and plain containers are unpickled. Raises UserError if the file is damaged, is not a weights file, or
    holds an unusable tensor: sparse, quantized, complex, or without data.
    """
    if not file.is_file():
        raise UserError(f"{file}: is not a weights file; name a .safetensors, .pth, .pt or .ckpt file")
    content = load(file)
    if damaged(file) if sealed(file) else file.suffix == ".safetensors" and not intact(file):
        raise UserError(
            f"{file}: is damaged: its checksum does not match; use a backup, or if a run wrote it, resume that run, "
            "which rewrites it, with --resume"
        )
    if not isinstance(content, dict):
        raise UserError(f"{file}: is not a dictionary of tensors; save the network's state_dict")
    entries = {entry: content[entry] for entry in ENTRIES if isinstance(content.get(entry), dict)}
    found: dict[str, dict[str, Tensor]] = {}
    for entry, values in (entries or {"": flat(content)}).items():
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        for name, tensor in tensors.items():
            if problem := unusable(name, tensor, file.stat().st_size):
                raise UserError(f"{file}: {name} {problem}; save the network's state_dict again")
        found[entry] = tensors
    return found


def flat(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Nested dictionaries flattened, names joined by dots: {"net": state_dict} holds a network too."""
    found: dict[Any, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):  # keys of an optimizer's state are numbers
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
    except Exception as error:  # a broken pickle can raise anything
        if "Unsupported global" in str(error):
            problem = "holds objects other than tensors, not loaded for safety; save only its state_dict"
        else:
            problem = f"cannot be read as weights ({type(error).__name__}); if it is a weights file, copy it again"
        raise UserError(f"{file}: {problem}") from error


def unusable(name: object, tensor: Tensor, size: int) -> str | None:
    """Why no network can use the tensor, or None; size: bytes of the file."""
    if not isinstance(name, str):
        return "is not the name of a tensor"
    if tensor.is_meta:
        return "has a shape but no data (it is on the meta device)"
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
    """Names the first tensor with NaN or infinite values, and how many; None if there is none.

    Sums first, about ten times as fast as `torch.isfinite`; a large sum may overflow, so it only raises suspicion.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not isfinite(tensor.sum(dtype=torch.float32).item()):
            bad = int((~torch.isfinite(tensor.float())).sum())
            if bad:
                return (
                    f"{name} has NaN or infinite values ({bad:,} of {tensor.numel():,}): the training that wrote it "
                    "diverged, or the file is damaged; use an earlier checkpoint"
                )
    return None


def same_kind(own: Tensor, given: Tensor) -> bool:
    """Whether `given` can replace `own`: same shape, and both floating point or both not."""
    return own.shape == given.shape and own.is_floating_point() == given.is_floating_point()


def load_whole(module: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Load a module's checkpoint. Raises UserError, and changes nothing, unless names, shapes and types all match."""
    own = module.state_dict()
    others = sorted(own.keys() ^ tensors.keys()) or [name for name in own if not same_kind(own[name], tensors[name])]
    if others:
        raise UserError(
            f"{file}: not the weights of this run's model: {others[0]} is missing, unknown, or of another shape or "
            "type; use the file of the run that config.yaml describes"
        )
    module.load_state_dict(tensors)
