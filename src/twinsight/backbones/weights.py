"""Weights on disk: written as safetensors beside a small JSON, read from files, run directories and official names."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from timm.data.constants import IMAGENET_DEFAULT_MEAN
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import not_finite, read_entries
from twinsight.backbones.hub import fetch, official
from twinsight.backbones.layouts import Content, likely, read_layout
from twinsight.backbones.matching import Match, match
from twinsight.errors import UserError
from twinsight.files import whole, write_text

# Where a run keeps its backbone, the best first: pretrained; segmenting; not ended.
RUN_FILES = ("backbone.safetensors", "model.safetensors", "checkpoints/last.ckpt")


def save_backbone(backbone: Backbone, file: Path) -> None:
    """Write `file` (.safetensors) and, beside it, `file`.json that says what it is."""
    about = {
        "backbone": backbone.name,
        "options": {name: value for name, value in backbone.options.items() if value is not None},
        "dim": backbone.dim,
        "dims": backbone.dims,
        "strides": backbone.strides,
        "mean": backbone.mean.flatten().tolist(),
        "std": backbone.std.flatten().tolist(),
    }
    # First, since weights without it could not be loaded.
    write_text(file.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
    save_tensors(backbone.network.state_dict(), file)


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write `file` (.safetensors), whole or not at all."""
    with whole(file) as stream:  # safetensors' own save_file makes files that nobody else may read
        stream.write(save({name: value.contiguous() for name, value in tensors.items()}))


def load_backbone(backbone: Backbone, source: Path) -> list[str]:
    """Load weights of this very network: from a run directory, a .safetensors, .pth, .pt or .ckpt file in any layout
    that `read_layout` knows, or an official name, which is downloaded.

    All of the backbone's tensors must be there, in their shapes; but for the counters of batch norms, which may be
    missing, and position embeddings, which are resized. The file may hold more only where it is known what: a
    classifier, a projector, a decoder. Returns what the user should know, a line each. Raises UserError, and changes
    nothing, if the file does not match so, or if the weights are known to want their pixels normalized in another way.
    """
    content = read_weights(source)
    found = match(backbone.network, content)
    if problem := refusal(backbone, source, content, found):
        raise UserError(problem)
    backbone.network.load_state_dict(found.tensors, strict=False)  # only batch norms' counters may be missing by now
    remarks = found.remarks
    if not content.ours and not normalizes_by(backbone, IMAGENET_DEFAULT_MEAN):
        remarks.append(f"pixels are normalized as timm does for {backbone.name}; the file does not say")
    return [f"{source}: {remark}" for remark in remarks]


def refusal(backbone: Backbone, source: Path, content: Content, found: Match) -> str | None:
    """Why the backbone does not take the weights, in a sentence; None if it does."""
    known = None if source.exists() else official()[str(source)]
    if found.problem:
        fits = known.backbone if known else likely(content)
        hint = f"give --backbone {fits}" if fits and fits != backbone.name else "name the backbone they are of"
        return f"{source}: not weights of {backbone.name}: {found.problem}; {hint}"
    mean = IMAGENET_DEFAULT_MEAN if known else content.about.get("mean")
    if mean and not normalizes_by(backbone, mean):
        which = "as ImageNet's" if known else f"by a mean of {', '.join(f'{value:.3g}' for value in mean)}"
        return (
            f"--weights {source}: wants pixels normalized {which}, and --backbone {backbone.name} does "
            f"otherwise; give --backbone {known.backbone if known else content.about['backbone']}"
        )
    problem = not_finite(found.tensors)
    return f"{source}: {problem}" if problem else None


def normalizes_by(backbone: Backbone, mean: Sequence[float]) -> bool:
    """Whether it takes this mean off its pixels."""
    return torch.allclose(backbone.mean.flatten().cpu(), torch.tensor(mean))


def read_weights(source: Path) -> Content:
    """The network in a file, a run directory or what an official name stands for; its tensors by timm's names."""
    if source.is_dir():
        file = next((source / name for name in RUN_FILES if (source / name).exists()), None)
        if file is None:
            raise UserError(f"{source}: no weights here; name a run that holds {' or '.join(RUN_FILES)}")
    elif source.exists():
        file = source
    elif str(source) in official():
        file = fetch(str(source))
    else:
        raise UserError(
            f"{source}: no such file or run directory, and no official weights of that name, "
            "which `twinsight weights` lists; give --weights one that exists"
        )
    entries = read_entries(file)
    first, *others = entries
    content = read_layout(entries[first])
    beside = {f"{other} (further network)": entries[other] for other in others}
    about = read_about(file)
    return content._replace(beside=content.beside | beside, ours=content.ours or bool(about), about=about)


def read_about(file: Path) -> dict[str, Any]:
    """What `save_backbone` wrote beside the file, if it did."""
    about = file.with_suffix(".json")
    if not about.is_file():
        return {}
    try:
        return dict(json.loads(about.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{about}: does not say what the weights beside it are ({error}); remove it") from error
