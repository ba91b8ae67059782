"""Saves weights as safetensors with a small JSON; loads them from files, run directories and official names."""

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
from twinsight.backbones.sources import file_and_entry, file_in, no_weights
from twinsight.errors import UserError
from twinsight.files import write_text


class Weights(NamedTuple):
    """The network in a source. demands: what it requires of a backbone. backbone: name of its network, if known."""

    content: Content
    demands: Demands
    backbone: str | None


def save_backbone(backbone: Backbone, file: Path) -> None:
    """Write `file` (.safetensors) and, beside it, a JSON of the same name that describes the backbone."""
    about: dict[str, object] = {
        "backbone": backbone.name,
        "options": {name: value for name, value in backbone.options.items() if value is not None},
        "dim": backbone.dim,
        "dims": backbone.dims,
        "strides": backbone.strides,
        "mean": backbone.mean.flatten().tolist(),
        "std": backbone.std.flatten().tolist(),
    }
    # First, since weights could not be loaded without it.
    write_text(file.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
    save_tensors(backbone.network.state_dict(), file)


def load_backbone(backbone: Backbone, source: Path) -> list[str]:
    """Load weights of exactly this network from a run directory, a .safetensors, .pth, .pt or .ckpt file in any layout
    of `names.LAYOUTS`, or an official name, which is downloaded. FILE:ENTRY names one of several networks in a file.

    All of the backbone's tensors must be present, finite, and of the right shape and type; only counters of batch norms
    may be missing, and position embeddings are resized. Other tensors are allowed only if they belong to a known part:
    a classifier, projector, decoder. Returns remarks for the user, one line each. Raises UserError, and changes
    nothing, if the file does not match, or if its weights are known to require another pixel normalization or number of
    attention heads.
    """
    weights = read_weights(source)
    found = match(backbone.network, weights.content)
    if problem := refusal(backbone, source, weights, found):
        raise UserError(problem)
    backbone.weights = str(source)
    backbone.network.load_state_dict(found.tensors, strict=False)  # by now, only batch norms' counters may be missing
    remarks = [*weights.content.remarks, *found.remarks]
    if weights.demands.pixels is None and not weights.content.ours and Demands(IMAGENET).conflict(backbone):
        remarks.append(f"the file does not say how to normalize pixels; using timm's values for {backbone.name}")
    return [f"{source}: {remark}" for remark in remarks]


def refusal(backbone: Backbone, source: Path, weights: Weights, found: Match) -> str | None:
    """Why the backbone cannot take the weights, in a sentence; None if it can."""
    if found.problem:
        fits = weights.backbone or likely(weights.content)
        hint = (
            f"give --backbone {fits}" if fits and fits != backbone.name else "give the --backbone that they belong to"
        )
        return f"{source}: not weights of {backbone.name}: {found.problem}; {hint}"
    if problem := weights.demands.conflict(backbone):
        return f"{source}: {problem}" + (f", or --backbone {weights.backbone}" if weights.backbone else "")
    problem = not_finite(found.tensors)
    return f"{source}: {problem}" if problem else None


def read_weights(source: Path) -> Weights:
    """The network in a file, a run directory or the file of an official name."""
    file, entry = file_and_entry(source)
    if file.is_dir():
        file = file_in(file)
    known = None
    if not file.exists():
        known = official().get(str(source))
        if known is None:
            raise no_weights(source)
        file = fetch(str(source))
    content = read_content(file, entry)
    about = read_about(file)
    content = content._replace(ours=content.ours or bool(about))
    asked = Demands(IMAGENET) if known else demands(file, content, about)
    return Weights(content, asked, known.backbone if known else about.get("backbone"))


def read_content(file: Path, entry: str | None) -> Content:
    """entry: which of the file's networks; None: the preferred one."""
    entries = read_entries(file)
    if entry is not None and entry not in entries:
        known = ", ".join(filter(None, entries))
        choices = f"choose from {known}" if known else f"it holds one network: give {file}"
        raise UserError(f"{file}:{entry}: the file has no such entry; {choices}")
    first = next(iter(entries)) if entry is None else entry
    content = read_layout(entries[first])
    others = {f"{other} (further network)": tensors for other, tensors in entries.items() if other != first}
    remarks = ()
    if first.endswith("_ema") and entry is None and others:
        raw = next(other for other in entries if other != first)
        remarks = (f"using the averaged weights, {first}; for the last weights give {file}:{raw}",)
    return content._replace(beside=content.beside | others, remarks=remarks)
