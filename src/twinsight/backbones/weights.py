"""Weights on disk: written as safetensors beside a small JSON, read from files and run directories."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

# Where a run keeps its backbone, the best first: pretrained; segmenting; not ended.
RUN_FILES = ("backbone.safetensors", "model.safetensors", "checkpoints/last.ckpt")

# What stands before the network's own names: in the checkpoints of both commands, in a segmenter, after DDP.
PREFIXES = ("method.trunk.network.", "model.backbone.network.", "backbone.network.", "module.")


def save_backbone(backbone: Backbone, file: Path) -> None:
    """Write `file` (.safetensors) and, beside it, `file`.json that says what it is."""
    temporary = file.with_suffix(".tmp")
    save_file({k: v.contiguous() for k, v in backbone.network.state_dict().items()}, temporary)
    temporary.rename(file)
    about = {
        "backbone": backbone.name,
        "dim": backbone.dim,
        "dims": backbone.dims,
        "strides": backbone.strides,
    }
    file.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n")


def load_backbone(backbone: Backbone, source: Path) -> None:
    """Load weights of this very network from a run directory, or a .safetensors, .pth, .pt or .ckpt file.

    Raises UserError, and changes nothing, if any tensor is missing, left over or of another shape.
    """
    state = read_weights(source)
    own = backbone.network.state_dict()
    missing = [name for name in own if name not in state]
    extra = [name for name in state if name not in own]
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or extra or shapes:
        problem = next(
            text
            for names, text in (
                (missing, f"lacks {len(missing)} of its {len(own)} tensors, {', '.join(missing[:1])} first"),
                (extra, f"holds {len(extra)} tensors that it has not, {', '.join(extra[:1])} first"),
                (shapes, f"has other shapes for {len(shapes)} tensors, {', '.join(shapes[:1])} first"),
            )
            if names
        )
        raise UserError(f"{source}: not weights of {backbone.name}: the file {problem}; name the backbone they are of")
    backbone.network.load_state_dict(state)


def read_weights(source: Path) -> dict[str, Tensor]:
    """The network's tensors by the network's own names, whatever prefix the file writes before them."""
    if source.is_dir():
        file = next((source / name for name in RUN_FILES if (source / name).exists()), None)
        if file is None:
            raise UserError(f"{source}: no weights here; name a run that holds {' or '.join(RUN_FILES)}")
    elif source.exists():
        file = source
    else:
        raise UserError(f"{source}: no such file or run directory; give --weights one that exists")
    state = read_tensors(file)
    prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in state)), "")
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, flat. Nothing is unpickled but tensors and plain containers."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle promises no closed list of what a broken file raises
        if "Unsupported global" in str(error):
            problem = "holds more than tensors, and is not loaded for safety; save its state_dict alone"
        else:
            problem = f"cannot be read as weights ({type(error).__name__}); is it whole?"
        raise UserError(f"{file}: {problem}") from error
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no dictionary of tensors; save the network's state_dict")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
