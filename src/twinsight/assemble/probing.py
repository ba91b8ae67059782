"""Probes for a training, from the options that name them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch import nn

from twinsight.assemble.data import sample
from twinsight.backbones.attention_maps import attention_maps
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.options.build import build
from twinsight.options.choose import suggest
from twinsight.options.data import FolderOptions
from twinsight.options.probe import ProbeOptions
from twinsight.options.probes import PROBES
from twinsight.options.training import TrainingOptions
from twinsight.probes.probe import inspecting
from twinsight.probes.views.snapshots import animate, strip
from twinsight.runs.rows import read_rows
from twinsight.training.probing import Probing, Scheduled

SPEC = re.compile(r"(?P<name>[a-z]+)(@(?P<every>[1-9]\d*)(?P<unit>epochs|steps)?)?(:(?P<images>[1-9]\d*))?")


def make_probing(options: TrainingOptions, subjects: Mapping[str, nn.Module], data: Dataset) -> list[pl.Callback]:
    """What looks on while these modules train; empty if nothing is asked for. Raises UserError for an unknown probe."""
    known = {"classes": data.classes, "palette": data.palette, "transform": None, "history": None}
    if options.probe_images is not None:
        data = build(FolderOptions(root=options.probe_images), split="all")
    scheduled = []
    for spec in specs(options.probe, subjects, data):
        found = SPEC.fullmatch(spec)
        if found is None:
            raise UserError(f"--probe {spec}: not understood; write NAME, NAME@5, NAME@500steps or NAME@5:16")
        kind = PROBES.get(found["name"])
        if kind is None or found["name"] == "curves":
            raise UserError(f"--probe {found['name']}: there is no such probe; {suggest(found['name'], offered())}")
        seen = sample(data, int(found["images"] or kind.images), probe_size(options, kind, subjects))
        if kind.wants and not any(getattr(seen, wanted) for wanted in kind.wants):
            raise UserError(
                f"--probe {found['name']}: needs {' or '.join(kind.wants)}, and the images looked at have none; "
                "leave it out, or take other --data"
            )
        probe = build(kind(), **{key: (known | {"labels": seen.labels})[key] for key in kind.given})
        if probe.subject not in subjects:
            raise UserError(
                f"--probe {found['name']}: asks a {probe.subject}, and this training has none; leave it out"
            )
        if found["name"] in ("attention", "scores") and not has_attention(subjects["backbone"], data):
            raise UserError(f"--probe {found['name']}: this backbone has no attention to look at; take erf instead")
        every = 0 if kind.once else int(found["every"] or 1)
        unit: Any = found["unit"] or "epochs"
        scheduled.append(Scheduled(found["name"], probe, seen.images, seen.masks, every, unit))
    return [Probing(scheduled, subjects, options.probe_budget)] if scheduled else []


def probe_size(options: TrainingOptions, kind: type[ProbeOptions], subjects: Mapping[str, nn.Module]) -> int | None:
    """Pixels that the shorter sides of a probe's images are brought down to; None: as they are."""
    at_most = 224 if "method" in subjects else None
    return options.probe_size or min((s for s in (kind.size, at_most) if s is not None), default=None)


def specs(given: str, subjects: Mapping[str, nn.Module], data: Dataset) -> Sequence[str]:
    """The probes asked for; those of "auto" suit the network."""
    if given == "none":
        return ()
    if given != "auto":
        return given.split(",")
    if "segmenter" in subjects:
        return ("predictions",)
    inside = "attention" if has_attention(subjects["backbone"], data) else "erf"
    return ("views", "correlation", "features", inside)


def has_attention(backbone: Any, data: Dataset) -> bool:
    with inspecting(backbone) as device:
        try:
            attention_maps(backbone, sample(data, 1, 96).images[0][None].to(device))
        except UserError:
            return False
    return True


def offered() -> list[str]:
    return [name for name in PROBES if name != "curves"]


def draw_history(folder: Path) -> None:
    """What a run's correlation matrices did over time: figures/correlation/strip.png and animation.gif."""
    files = sorted((folder / "figures" / "correlation").glob("matrix-*.npy"))
    if not files:
        return
    matrices = {int(file.stem.rpartition("-")[2]): np.load(file).astype(np.float32) for file in files}
    rows = read_rows(folder / "metrics.csv")
    strip(matrices, rows).save(files[0].with_name("strip.png"))
    animate(matrices, files[0].with_name("animation.gif"), rows)
