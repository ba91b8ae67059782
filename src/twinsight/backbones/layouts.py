"""Finds the network among the tensors of a file, whichever project wrote it."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from twinsight.backbones.names import LAYOUTS, Layout
from twinsight.backbones.parts import by_part

# Prefixes of twinsight's own tensor names.
OURS = {
    "method.trunk.network.": "pretraining checkpoint of twinsight",
    "model.backbone.network.": "segmentation checkpoint of twinsight",
    "backbone.network.": "segmenter of twinsight",
}

# Of several networks in a file, prefer the one that its project evaluates: a teacher or an average first; a student or
# momentum encoder last.
FIRST = re.compile(r"teacher|(^|[._])ema([._]|$)")
LAST = re.compile(r"student|momentum|encoder_k\b")

# The project that uses each prefix.
PROJECTS = {
    r"(^|\.)(base|momentum)_encoder\.": "training checkpoint of MoCo v3",
    r"(^|\.)encoder_[qk]\.": "training checkpoint of MoCo",
    r"(student|teacher)\.backbone\.": "training checkpoint of DINOv2 or DINOv3",
    r"_orig_mod\.": "compiled model",
    r"^module\.": "training checkpoint",
    r"(^|\.)\w*backbone\.": "model with a backbone",
}


class Content(NamedTuple):
    """The network in a file.

    layout: in words. tensors: the network's, by timm's names. beside: the file's other tensors, by part, then by the
    file's names. ours: whether twinsight wrote it. remarks: for the user, one line each.
    """

    layout: str
    tensors: dict[str, Tensor]
    beside: dict[str, dict[str, Tensor]]
    ours: bool = False
    remarks: tuple[str, ...] = ()


def read_layout(state: Mapping[str, Tensor]) -> Content:
    """Find the network among a file's tensors and give them timm's names."""
    prefix, layout = find(state)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    beside = by_part({name: tensor for name, tensor in state.items() if not name.startswith(prefix)})
    words = layout.words if layout else "names of its own network"
    project = origin(prefix, beside)
    return Content(
        f"{words}, in a {project}" if project else words,
        layout.read(tensors) if layout else tensors,
        beside,
        "twinsight" in project,
    )


def find(state: Mapping[str, Tensor]) -> tuple[str, Layout | None]:
    """The prefix of the network's tensors and the layout of their names, None if unknown."""
    ours = next((prefix for prefix in OURS if any(name.startswith(prefix) for name in state)), None)
    for layout in LAYOUTS:
        ends = [name.removesuffix(layout.stem) for name in state if name.endswith(layout.stem)]
        found = [p for p in ends if (not p or p.endswith(".")) and p + layout.also in state]
        if ours is not None:
            found = [prefix for prefix in found if prefix.startswith(ours)]
        if found:
            prefix = min(found, key=lambda p: (-bool(FIRST.search(p)), bool(LAST.search(p)), len(p)))
            return (prefix, layout) if ours is None else (ours, layout._replace(read=dict))
    return ours or "", None


def origin(prefix: str, beside: Iterable[str]) -> str:
    """What kind of file this is; empty if it holds only the network."""
    parts = set(beside)
    if "head.last_layer (prototypes)" in parts:
        return "training checkpoint of DINO"
    if {"projector (projector)", "bn (projector)"} <= parts:
        return "training checkpoint of Barlow Twins"
    if prefix == "backbone." and "classifier (decoder)" in parts:
        return "segmentation model of torchvision"
    if prefix in OURS:
        return OURS[prefix]
    return next((words for pattern, words in PROJECTS.items() if re.search(pattern, prefix)), "")
