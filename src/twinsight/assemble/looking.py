"""A probe put to models: what it finds in each, and its figures side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twinsight.assemble.data import Seen, sample
from twinsight.assemble.images import evenly
from twinsight.assemble.looked import Images, unique
from twinsight.assemble.open import Opened, open_model
from twinsight.assemble.opening import announce, data_set, images, weights_of
from twinsight.console import tell
from twinsight.data.decode import decode_image
from twinsight.data.depth import decide
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.options.build import build, target_of
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.probes.draw import Plot
from twinsight.probes.finding import Finding
from twinsight.probes.images import to_tensor
from twinsight.probes.side_by_side import together
from twinsight.runs.rows import read_rows


def look(options: Any, name: str, chosen: Images) -> tuple[dict[str, Plot], dict[str, Finding]]:
    """What `twinsight look NAME` finds in each model, and the figures of all."""
    device = Device(options.accelerator).torch
    probe = options.probe
    subject = target_of(probe).subject
    models = [open_model(spec, options.backbone, options.checkpoint, device, subject) for spec in options.weights]
    models = models or [Opened("defaults", {}, build(TwoViewsOptions()))]
    seen = read_images(options, chosen)
    announce(
        f"look {name}",
        ", ".join(weights_of(spec) for spec in options.weights) or "the default views",
        looked_at(options, len(seen.images)),
        f"fp32 on {device.type}",
        f"to {options.out}",
    )
    findings = ask(probe, name, models, seen)
    return together(findings, models[0].palette), findings


def ask(probe: Any, name: str, models: Sequence[Opened], seen: Seen) -> dict[str, Finding]:
    """What the probe finds in each model, by the model's name. Raises UserError for a model that it cannot ask."""
    subject = target_of(probe).subject
    findings: dict[str, Finding] = {}
    for model in models:
        if subject not in model.subjects and model.subjects:
            raise UserError(f"--weights {model.name}: `look {name}` needs a {subject}; {NEEDS[subject]}")
        known = {
            "transform": model.transform,
            "classes": model.classes or seen.classes,
            "palette": seen.palette if model.palette is None else model.palette,
            "labels": seen.labels,
            "history": None if model.run is None else logged(model.run),
        }
        asked = build(probe, **{key: known[key] for key in probe.given})
        finding = asked(model.subjects.get(subject), seen.images, seen.masks)
        for remark in finding.remarks:
            tell(f"look: {model.name}: {remark}")
        findings[unique(model.name, findings)] = finding
    return findings


NEEDS = {"segmenter": "give a run of `twinsight segment`"}


def looked_at(options: Any, count: int) -> str:
    if count == 0:
        return ""  # the probe asks the weights alone
    return images(count) if options.images else data_set(options.data, images(count))


def logged(run: Path) -> Callable[[], list[dict[str, float]]]:
    """What a run has logged up to the moment that it is asked."""
    file = run / "metrics.csv"
    return lambda: read_rows(file) if file.is_file() else []


def compare(options: Any, runs: dict[str, list[dict[str, float]]]) -> tuple[dict[str, Plot], dict[str, Finding]]:
    """The curves of several runs in one figure."""
    finding = build(options.probe)(runs)
    if not finding.figures:
        wanted = f"--scalars {' '.join(options.probe.scalars)}" if options.probe.scalars else "--weights"
        raise UserError(f"{wanted}: nothing of the kind is logged in {', '.join(options.weights)}; see its metrics.csv")
    return dict(finding.figures), {"": finding}


def read_images(options: Any, chosen: Images) -> Seen:
    """The images named, or evenly chosen ones of the data set with their masks."""
    count, size = options.sample or options.probe.images, options.size or options.probe.size
    files, dataset = chosen
    if dataset is not None:
        return sample(dataset, count, size)
    known = {name: getattr(options.data, name, None) for name in ("bits", "max_megapixels")}
    reading = decide(files, **known)
    places = evenly(len(files), count)
    if len(places) < len(files):
        tell(f"look: {len(places)} of {images(len(files))}, evenly chosen; --sample {len(files)} looks at all")
    return Seen([to_tensor(decode_image(files[place], reading), size) for place in places], None, None, (), None)
