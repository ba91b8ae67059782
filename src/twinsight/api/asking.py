"""A probe put to models that are loaded, on images however given."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twinsight.api.dataset import Dataset
from twinsight.api.inputs import shrink, take
from twinsight.api.model import Model
from twinsight.api.models import loaded
from twinsight.assemble.data import Seen, sample
from twinsight.assemble.looked import read_curves
from twinsight.assemble.looking import ask as ask_all
from twinsight.assemble.looking import compare
from twinsight.errors import UserError
from twinsight.options.data import DATA
from twinsight.probes.finding import Finding
from twinsight.probes.side_by_side import Findings


def ask(probe: str, asked: Any, models: Any, images: Any) -> Finding | Findings:
    """asked: the options of `twinsight look PROBE`."""
    several = isinstance(models, Mapping) or (isinstance(models, Sequence) and not isinstance(models, str))
    named: dict[str, Any] = dict(models) if isinstance(models, Mapping) else {}
    sources: list[Any] = list(named.values()) if named else list(models) if several else [models]
    if not sources:
        raise UserError("models: none given; give a model, a list of them or a mapping")
    if probe == "curves":
        runs = tuple(map(os.fspath, sources))
        return compare(replace(asked, weights=runs), read_curves(runs))[1][""]
    opened = [loaded(source) for source in sources]
    names = list(named) or [model.name for model in opened]
    subjects = [replace(model.opened, name=name) for model, name in zip(opened, names)]
    findings = ask_all(asked.probe, probe, subjects, seen(asked, opened[0], images))
    return Findings(findings, subjects[0].palette) if several else next(iter(findings.values()))


def seen(asked: Any, model: Model, images: Any) -> Seen:
    """What the probe looks at: images as they are given; of a data set some, with their masks."""
    size = asked.size or asked.probe.size
    if asked.probe.images == 0:
        return Seen([], None, None, (), None)
    if isinstance(images, str) and images in DATA:
        images = Dataset.open(images)
    if images is None:
        options = getattr(model.opened.options, "data", None)
        if options is None:
            raise UserError("images: none given; give some, a folder of them or a data set")
        images = Dataset(options, asked.split or ("val" if model.classes else "train"))
    if isinstance(images, Dataset):
        return sample(images.data, asked.sample or asked.probe.images, size)
    return Seen([shrink(image, size) for image in take(images)], None, None, (), None)
