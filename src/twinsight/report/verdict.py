"""The verdict on a run in sentences, and what to do next as commands."""

import math
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from twinsight.options.methods import METHODS
from twinsight.options.methods.views import OneViewOptions
from twinsight.probes.views.alarms import LOG, diagnose
from twinsight.report.record import Record, read_classes

RISING = 0.01
"""A score that gained at least this in the last fifth of the validations was still rising; one that lost twice this
much since its best was falling."""

FEW = 10
"""Minimum rows with a loss to say anything about it."""

NAMED = 6
"""Maximum classes listed in a sentence."""


class Verdict(NamedTuple):
    """sentences: the verdict. commands: what to do next, as (purpose, command)."""

    sentences: Sequence[str]
    commands: Sequence[tuple[str, str]]


def verdict(run: Record) -> Verdict:
    """The verdict on a run, finished or not."""
    if run.options.get("method.name") == "none":
        return Verdict(["Nothing was trained (--method none)."], next_steps(run))
    if not run.rows:
        return Verdict(["Nothing is logged yet."], [])
    found = segmented(run) if run.options["command"] == "segment" else pretrained(run)
    return Verdict([*unfinished(run), *found.sentences], [*going_on(run), *found.commands])


def unfinished(run: Record) -> list[str]:
    epoch, epochs = reached(run)
    return [] if epoch >= epochs else [f"The run is in epoch {epoch} of {epochs}, at step {last_step(run)}."]


def going_on(run: Record) -> list[tuple[str, str]]:
    if not unfinished(run) or not (run.folder / "checkpoints" / "last.ckpt").is_file():
        return []
    return [("Go on where it stopped", f"twinsight {run.options['command']} --resume {folder(run)}")]


def reached(run: Record) -> tuple[int, float]:
    """The epoch reached, counted from 1, and the number of epochs."""
    epoch = int(max(row.get("epoch", -1) for row in run.rows)) + 1
    epochs = run.options.get("epochs")
    return epoch, epochs if isinstance(epochs, int | float) else epoch


def last_step(run: Record) -> int:
    return int(run.rows[-1]["step"])


def folder(run: Record) -> str:
    return shlex.quote(str(run.folder))


def track(run: Record, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values of a metric."""
    points = [(row["step"], row[name]) for row in run.rows if math.isfinite(row.get(name, math.nan))]
    steps, values = np.array(points).reshape(-1, 2).T
    return steps, values


def segmented(run: Record) -> Verdict:
    steps, ious = track(run, "val/mean_iou")
    if not len(ious):
        return Verdict(["No validation has ended yet."], [])
    best, lately = int(ious.argmax()), max(1, len(ious) // 5)
    says = [f"Mean IoU is {ious[-1]:.1%} at the end."]
    if f"{ious[best]:.1%}" != f"{ious[-1]:.1%}":
        says = [f"Mean IoU is {ious[best]:.1%} at its best, at step {steps[best]:.0f}, and {ious[-1]:.1%} at the end."]
    if len(ious) > 2 and ious[-1] - ious[-1 - lately] >= RISING:
        says.append("It was still rising: more --epochs should help.")
    elif ious[best] - ious[-1] >= 2 * RISING:
        says.append("It has fallen since: try fewer --epochs, --early-stopping, or more images.")
    classes = run.folder / "figures" / "classes" / "per-class.csv"
    table = read_classes(classes) if classes.is_file() else {}
    missed = [name for name, row in table.items() if row.get("iou") and float(row["iou"]) == 0]
    if missed:
        more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
        says.append(f"Not found at all: {', '.join(missed[:NAMED])}{more}.")
    return Verdict(
        says,
        [
            ("Measure it", f"twinsight evaluate {folder(run)}"),
            ("Use it on images of your own", f"twinsight predict {folder(run)} photos"),
        ],
    )


def pretrained(run: Record) -> Verdict:
    rows = [{name.removeprefix(LOG): value for name, value in row.items()} for row in run.rows]
    looks = [row for row in rows if "images" in row]
    alarms = diagnose(looks[-1] if looks else {}, rows)
    says = [f"{alarm.says[0].upper()}{alarm.says[1:]}. Try this: {alarm.advice}" for alarm in alarms]
    _, losses = track(run, "train/loss")
    if len(losses) > 1:
        few = ", over too few logged steps to judge" if len(losses) < FEW else ""
        moved = "fell" if losses[-1] < losses[0] else "rose"
        says.insert(0, f"The loss {moved} from {losses[0]:.4g} to {losses[-1]:.4g}{few}.")
    if not alarms and looks:
        says.append("No sign of collapse or divergence.")
    elif not alarms and makes_one_view(run):
        says.append("Collapse is measured between two views, and this method makes one: measure the features to know.")
    elif not alarms:
        says.append("Whether the features have collapsed was not measured: train with --probe health to know.")
    return Verdict(says, next_steps(run))


def makes_one_view(run: Record) -> bool:
    """False for a method of one's own, whose views are unknown here."""
    method: Any = METHODS.get(str(run.options.get("method.name")))
    return method is not None and isinstance(getattr(method(), "views", None), OneViewOptions)


def next_steps(run: Record) -> list[tuple[str, str]]:
    """What to do with a backbone."""
    return [
        ("Measure the features, on images with masks", f"twinsight evaluate {folder(run)} --probe {judges(run)}"),
        ("Train a segmenter on them", f"twinsight segment --weights {folder(run)}{network(run)}{masked(run)}"),
    ]


def judges(run: Record) -> str:
    if run.options.get("data.name") == "class-folder":
        return "knn,linear"
    return f"patches,linear{masked(run)}"


def network(run: Record) -> str:
    """Options that recreate the run's backbone."""
    given = {name: value for name, value in run.options.items() if name.startswith("backbone.") and value is not None}
    words = {"--backbone": given.pop("backbone.name", None)} | {
        f"--{name.replace('_', '-')}": value for name, value in given.items() if not isinstance(value, bool)
    }
    return "".join(
        f" {flag} {' '.join(shlex.quote(str(part)) for part in (value if isinstance(value, list) else [value]))}"
        for flag, value in words.items()
        if value is not None
    )


def masked(run: Record) -> str:
    """Options that name images with masks: the run's own if it has any."""
    options = run.options
    name, root, masks = (options.get(f"data.{option}") for option in ("name", "root", "masks"))
    if name in ("folder", "class-folder") and masks is None:
        return " --data folder --data.root IMAGES --data.masks MASKS"
    given = {"data": name, "data.root": root, "data.masks": masks}
    return "".join(f" --{option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None)
