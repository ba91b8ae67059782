"""Weights on disk: written as safetensors beside a small JSON, read from files, run directories and official names."""

import json
from pathlib import Path
from typing import NamedTuple

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import not_finite, read_entries
from twinsight.backbones.demands import IMAGENET, Demands, demands, read_about
from twinsight.backbones.hub import fetch, official
from twinsight.backbones.integrity import save_tensors
from twinsight.backbones.layouts import Content, read_layout
from twinsight.backbones.likely import likely
from twinsight.backbones.matching import Match, match
from twinsight.errors import UserError
from twinsight.files import write_text

# Where a run keeps its backbone, the best first: pretrained; segmenting; not ended. Where Hugging Face keeps a network.
RUN_FILES = ("backbone.safetensors", "model.safetensors", "checkpoints/last.ckpt", "pytorch_model.bin")


class Weights(NamedTuple):
    """What a source holds. demands: what it asks of a network. backbone: the one they are of, where that is known."""

    content: Content
    demands: Demands
    backbone: str | None


def save_backbone(backbone: Backbone, file: Path) -> None:
    """Write `file` (.safetensors) and, beside it, `file`.json that says what it is."""
    about: dict[str, object] = {
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


def load_backbone(backbone: Backbone, source: Path) -> list[str]:
    """Load weights of this very network: from a run directory, a .safetensors, .pth, .pt or .ckpt file in any layout of
    `names.LAYOUTS`, or an official name, which is downloaded. FILE:ENTRY names one of several networks in a file.

    All of the backbone's tensors must be there, in their shapes, floats for floats, and finite; but for the counters of
    batch norms, which may be missing, and position embeddings, which are resized. The file may hold more only where it
    is known what: a classifier, a projector, a decoder. Returns what the user should know, one line each. Raises
    UserError, and changes nothing, if the file does not match so, or if it is known that the weights want their pixels
    normalized in another way, or other attention heads.
    """
    weights = read_weights(source)
    found = match(backbone.network, weights.content)
    if problem := refusal(backbone, source, weights, found):
        raise UserError(problem)
    backbone.network.load_state_dict(found.tensors, strict=False)  # only batch norms' counters may be missing by now
    remarks = [*weights.content.remarks, *found.remarks]
    if weights.demands.pixels is None and not weights.content.ours and Demands(IMAGENET).conflict(backbone):
        remarks.append(f"pixels are normalized as timm does for {backbone.name}; the file does not say")
    return [f"{source}: {remark}" for remark in remarks]


def refusal(backbone: Backbone, source: Path, weights: Weights, found: Match) -> str | None:
    """Why the backbone does not take the weights, in a sentence; None if it does."""
    if found.problem:
        fits = weights.backbone or likely(weights.content)
        hint = f"give --backbone {fits}" if fits and fits != backbone.name else "name the backbone they are of"
        return f"{source}: not weights of {backbone.name}: {found.problem}; {hint}"
    if problem := weights.demands.conflict(backbone):
        return f"{source}: {problem}" + (f", or --backbone {weights.backbone}" if weights.backbone else "")
    problem = not_finite(found.tensors)
    return f"{source}: {problem}" if problem else None


def read_weights(source: Path) -> Weights:
    """The network in a file, a run directory or what an official name stands for."""
    file, entry = file_and_entry(source)
    if file.is_dir():
        folder = file
        file = next((folder / name for name in RUN_FILES if (folder / name).exists()), None)
        if file is None:
            raise UserError(f"{folder}: no weights here; name a run or folder that holds {' or '.join(RUN_FILES)}")
    known = None
    if not file.exists():
        known = official().get(str(source))
        if known is None:
            raise UserError(
                f"{source}: no such file or run directory, and no official weights of that name, "
                "which `twinsight weights` lists; give --weights one that exists"
            )
        file = fetch(str(source))
    content = read_content(file, entry)
    about = read_about(file)
    content = content._replace(ours=content.ours or bool(about))
    asked = Demands(IMAGENET) if known else demands(file, content, about)
    return Weights(content, asked, known.backbone if known else about.get("backbone"))


def file_and_entry(source: Path) -> tuple[Path, str | None]:
    """FILE:ENTRY in its parts, if FILE exists; any other source as it is."""
    name, _, entry = source.name.rpartition(":")
    if name and not source.exists() and source.with_name(name).is_file():
        return source.with_name(name), entry
    return source, None


def read_content(file: Path, entry: str | None) -> Content:
    """entry: which of the file's networks; None: the one to take first."""
    entries = read_entries(file)
    if entry is not None and entry not in entries:
        raise UserError(f"{file}:{entry}: holds no such entry; it holds {', '.join(filter(None, entries)) or 'one'}")
    first = next(iter(entries)) if entry is None else entry
    content = read_layout(entries[first])
    others = {f"{other} (further network)": tensors for other, tensors in entries.items() if other != first}
    remarks = ()
    if first.endswith("_ema") and entry is None and others:
        raw = next(other for other in entries if other != first)
        remarks = (f"the average of the weights is taken, {first}; for the last ones give {file}:{raw}",)
    return content._replace(beside=content.beside | others, remarks=remarks)
