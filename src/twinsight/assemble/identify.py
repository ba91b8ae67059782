"""What a weights file is, which network it fits, and what of it."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from twinsight.assemble.open import pretrained_off
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.demands import described
from twinsight.backbones.hub import official
from twinsight.backbones.likely import likely
from twinsight.backbones.matching import Match, count, first_few, match
from twinsight.backbones.parts import parameters
from twinsight.backbones.weights import Weights, read_weights, refusal
from twinsight.backbones.without_us import loading_lines
from twinsight.console import console
from twinsight.options.build import build
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.config import read
from twinsight.options.parse import parse

NAMED = 8
"""Tensors that are named of a long list."""


def identify(file: Path, name: str | None) -> Match | None:
    """Print how the file fits, and return it; None if no network is known to fit it.

    name: of the timm model to match it with.
    """
    weights = read_weights(file)
    content = weights.content
    backbone = network_for(file, name, weights)
    whole = parameters(content.tensors) + sum(map(parameters, content.beside.values()))
    say("layout", content.layout)
    say("network", f"{count(content.tensors)}, {parameters(content.tensors) / 1e6:.2f} M parameters")
    if backbone is None:
        for part, those in content.beside.items():
            say("beside it", f"{part}: {listed(those, whole, 'the file')}")
        names = first_few(list(content.tensors))
        say("verdict", f"no known network has these names and shapes ({names}); give --backbone")
        return None
    found = match(backbone.network, content)
    size = parameters(backbone.network.state_dict())
    mean = " ".join(f"{value:.3g}" for value in backbone.mean.flatten().tolist())
    say("backbone", f"{backbone.name}, which normalizes pixels by the mean {mean}")
    say("matches", f"{100 * found.share:.1f} % of its {size / 1e6:.2f} M parameters")
    for what, those, total, of in (
        ("missing", found.missing, size, backbone.name),
        ("other shapes", found.misshapen, size, backbone.name),
        ("unknown", found.unknown, whole, "the file"),
    ):
        if those:
            say(what, listed(those, total, of))
    for part, those in found.left.items():
        say("left out", f"{part}: {listed(those, whole, 'the file')}")
    if found.resized:
        say("resized", f"position embeddings {found.resized}")
    problem = refusal(backbone, file, weights, found)
    flags = f"--backbone {backbone.name} --weights {file}"
    say("verdict", f"refused: {problem}" if problem else f"loads with {flags}")
    exported = file / "backbone.safetensors" if file.is_dir() else file
    for library, lines in ({} if problem else loading_lines(exported)).items():
        for what, line in zip((library, ""), lines):
            say(what, line)
    return found


def network_for(file: Path, name: str | None, weights: Weights) -> Backbone | None:
    """The one named, or what the file's own run, JSON or name says that it is, or what its shapes tell."""
    config = file / "config.yaml"
    if name is not None:
        return Backbone(name)
    if config.is_file():
        tree = read(config)
        command, kind = ("segment", Segment) if "head" in tree else ("pretrain", Pretrain)
        backbone = parse(kind, command, [], tree, config).backbone
        return build(backbone, **pretrained_off(backbone))
    if (backbone := described(file)) is not None:
        return backbone
    known = weights.backbone or likely(weights.content)
    return None if known is None else Backbone(known)


def list_official() -> None:
    for name, known in official().items():
        checksum = f"sha256 {known.sha256}..." if known.sha256 else "no published checksum"
        here = f", at {known.cached}" if known.cached.exists() else ""
        say(name, f"--backbone {known.backbone}, {checksum}{here}", 50)
        say("", known.url, 2)


def listed(those: Mapping[str, Tensor], total: int, of: str) -> str:
    """total: parameters of the whole."""
    share = 100 * parameters(those) / max(1, total)
    more = f" and {len(those) - NAMED} more" if len(those) > NAMED else ""
    return f"{count(those)}, {share:.1f} % of the parameters of {of}: {', '.join(list(those)[:NAMED])}{more}"


def say(what: str, text: str, width: int = 12) -> None:
    console.print(f"{what:{width}}  {text}", markup=False, highlight=False, soft_wrap=True)
