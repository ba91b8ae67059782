"""From --probe to the probes that run during a training."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch import nn

from twinsight.assemble.data import sample
from twinsight.assemble.looks import Look, read_look, read_looks
from twinsight.backbones.attention_maps import attention_blocks
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.options.build import build
from twinsight.options.data import FolderOptions
from twinsight.probes.views.snapshots import animate, strip
from twinsight.runs.rows import read_rows
from twinsight.training.probing import Probing, Scheduled

COMPARING = ("correlation", "health")
"""Probes of two views."""


def seen_by_probes(folder: Path | None, data: Dataset) -> Dataset:
    """The images of --probe-images, else those of the training."""
    return data if folder is None else build(FolderOptions(root=folder), split="all")


def plan_looks(given: str, subjects: Mapping[str, nn.Module], seen: Dataset) -> list[Look]:
    """The looks requested by `given`, the value of --probe; "auto" chooses by network.

    subjects: the modules for probes, possibly on the meta device. seen: the images for probes. Raises UserError for a
    probe that does not suit these modules or images; reads no image.
    """
    backbone: Any = subjects["backbone"]
    looks = auto(subjects) if given == "auto" else read_looks(given)
    for look in looks:
        subject = target(look).subject
        if subject not in subjects:
            raise UserError(f"--probe {look.name}: needs a {subject}, which this training does not have; leave it out")
        if look.name in COMPARING and not compares_views(subjects):
            raise UserError(f"--probe {look.name}: compares two views, but this method makes only one; leave it out")
        if look.name in ("attention", "scores") and not attention_blocks(backbone):
            raise UserError(f"--probe {look.name}: this backbone has no attention; use erf instead")
        there = {"masks": bool(seen.classes), "labels": isinstance(seen, ClassFolder)}
        if look.kind.wants and not any(there[wanted] for wanted in look.kind.wants):
            raise UserError(
                f"--probe {look.name}: needs {' or '.join(look.kind.wants)}, which the images do not have; "
                "leave it out or choose other --data"
            )
    return looks


def auto(subjects: Mapping[str, nn.Module]) -> list[Look]:
    """The looks that suit the network."""
    if "segmenter" in subjects:
        return [read_look("predictions")]
    backbone: Any = subjects["backbone"]
    inside = "attention" if attention_blocks(backbone) else "erf"
    compare = COMPARING if compares_views(subjects) else ()
    return [read_look(name) for name in ("views", *compare, "features", inside)]


def compares_views(subjects: Mapping[str, nn.Module]) -> bool:
    """Whether these modules have a method that makes two views or more."""
    method: Any = subjects.get("method")
    return method is None or len(method.views().views) > 1


def target(look: Look) -> Any:
    """The class of the probe."""
    module, _, name = look.kind.target.partition(":")
    return getattr(import_module(module), name)


def make_probing(
    looks: Sequence[Look],
    subjects: Mapping[str, nn.Module],
    seen: Dataset,
    data: Dataset,
    size: int | None,
    budget: float,
) -> list[pl.Callback]:
    """The probes to run while these modules train; empty without looks.

    seen: the images for probes. data: that of the training, with the model's classes. size: shorter sides are shrunk
    to at most so many pixels; None: the probe decides. budget: fraction of the training's time.
    """
    scheduled = []
    for look in looks:
        found = sample(seen, look.images, size or own_size(look, subjects))
        known = {
            "classes": data.classes,
            "palette": data.palette,
            "transform": None,
            "history": None,
            "labels": found.labels,
        }
        probe = build(look.kind(), **{name: known[name] for name in look.kind.given})
        scheduled.append(Scheduled(look.name, probe, found.images, found.masks, look.every, look.unit))
    return [Probing(scheduled, subjects, budget)] if scheduled else []


def own_size(look: Look, subjects: Mapping[str, nn.Module]) -> int | None:
    """Size in pixels of a probe's images: at most 224 in pretraining, whose views are small."""
    at_most = 224 if "method" in subjects else None
    return min((size for size in (look.kind.size, at_most) if size is not None), default=None)


def draw_history(folder: Path) -> None:
    """Draw a run's correlation matrices over time: figures/correlation/strip.png and animation.gif."""
    files = sorted((folder / "figures" / "correlation").glob("matrix-*.npy"))
    if not files:
        return
    matrices = {int(file.stem.rpartition("-")[2]): np.load(file).astype(np.float32) for file in files}
    rows = read_rows(folder / "metrics.csv")
    strip(matrices, rows).save(files[0].with_name("strip.png"))
    animate(matrices, files[0].with_name("animation.gif"), rows)
