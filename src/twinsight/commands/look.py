"""twinsight look: a probe put to one model or several side by side, answered with figures and numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from twinsight.choices.build import build
from twinsight.choices.methods import TwoViewsOptions
from twinsight.choices.probes import PROBES
from twinsight.commands.models import Opened, open_model
from twinsight.commands.opening import announce, data_set, images, weights_of
from twinsight.commands.predict import find
from twinsight.console import console, told
from twinsight.data.class_folder import ClassFolder
from twinsight.data.decode import decode_image
from twinsight.data.depth import decide
from twinsight.data.samples import Dataset
from twinsight.data.tolerance import Tolerance
from twinsight.device import choose_device
from twinsight.errors import UserError
from twinsight.files import without_nan
from twinsight.outputs import check_folder
from twinsight.probes.draw import Plot, beside
from twinsight.probes.images import mask_to_tensor, to_tensor
from twinsight.probes.predictions import compare
from twinsight.probes.probe import Finding
from twinsight.ranges import check_ranges
from twinsight.training.metrics_csv import read_rows


class Seen(NamedTuple):
    """What a probe looks at: images (3, H, W), masks (H, W) or None, and a label for each image or None."""

    images: list[Any]
    masks: list[Any] | None
    labels: list[str] | None
    classes: tuple[str, ...]
    palette: np.ndarray | None


def run(options: Any) -> dict[str, Finding]:
    check_ranges(options)
    check_folder("out", options.out, options)
    probe, name = options.probe, probe_name(options)
    plots, findings = curves(options) if name == "curves" else look(options, probe, name)
    files = {figure: options.out / f"{name}-{figure}.{options.format}" for figure in plots}
    there = next((file for file in files.values() if file.exists()), None)
    show(findings, as_json=options.numbers)  # first, since which figures there are is known only now
    if there is not None and not options.overwrite:
        raise UserError(f"{there}: exists; choose another --out or give --overwrite")
    for figure, plot in plots.items():
        plot.save(files[figure])
        told(f"look: {files[figure]}")
    return findings


def probe_name(options: Any) -> str:
    return next(name for name, kind in PROBES.items() if isinstance(options.probe, kind))


def look(options: Any, probe: Any, name: str) -> tuple[dict[str, Plot], dict[str, Finding]]:
    device = choose_device(options.accelerator)
    if not options.weights and name != "views":
        raise UserError("--weights: none given; name a run directory, a weights file or a timm model")
    models = [open_model(spec, options.backbone, options.checkpoint, device) for spec in options.weights]
    models = models or [Opened("defaults", {}, build(TwoViewsOptions()))]
    seen = read_images(options, any("segmenter" in model.subjects for model in models))
    announce(
        f"look {name}",
        ", ".join(weights_of(spec) for spec in options.weights) or "the default views",
        looked_at(options, len(seen.images)),
        f"fp32 on {device.type}",
        f"to {options.out}",
    )
    findings: dict[str, Finding] = {}
    for model in models:
        known = {
            "transform": model.transform,
            "classes": model.classes or seen.classes,
            "palette": seen.palette if model.palette is None else model.palette,
            "labels": seen.labels,
            "history": None if model.run is None else logged(model.run),
        }
        asked = build(probe, **{key: known[key] for key in probe.given})
        if asked.subject not in model.subjects and model.subjects:
            raise UserError(f"--weights {model.name}: `look {name}` needs a {asked.subject}; {NEEDS[asked.subject]}")
        finding = asked(model.subjects.get(asked.subject), seen.images, seen.masks)
        for remark in finding.remarks:
            told(f"look: {model.name}: {remark}")
        findings[unique(model.name, findings)] = finding
    return together(findings, models[0].palette), findings


NEEDS = {"segmenter": "give a run of `twinsight segment`"}


def looked_at(options: Any, count: int) -> str:
    if count == 0:
        return ""  # the probe asks the weights alone
    return images(count) if options.images else data_set(options.data, images(count))


def logged(run: Path) -> Callable[[], list[dict[str, float]]]:
    """What a run has logged up to the moment that it is asked."""
    file = run / "metrics.csv"
    return lambda: read_rows(file) if file.is_file() else []


def unique(name: str, taken: Any) -> str:
    return name if name not in taken else unique(f"{name}'", taken)


def curves(options: Any) -> tuple[dict[str, Plot], dict[str, Finding]]:
    runs = {}
    for spec in options.weights:
        file = Path(spec) / "metrics.csv"
        if not file.is_file():
            raise UserError(f"--weights {spec}: no run that has logged anything (no metrics.csv)")
        runs[unique(Path(spec).name, runs)] = read_rows(file)
    if not runs:
        raise UserError("--weights: none given; name a run directory")
    finding = build(options.probe)(runs)
    if not finding.figures:
        wanted = f"--scalars {' '.join(options.probe.scalars)}" if options.probe.scalars else "--weights"
        raise UserError(f"{wanted}: nothing of the kind is logged in {', '.join(options.weights)}; see its metrics.csv")
    return dict(finding.figures), {"": finding}


def read_images(options: Any, segmenter: bool) -> Seen:
    """The images named, or evenly chosen ones of the data set with their masks."""
    size = options.size or options.probe.size
    if options.probe.images == 0:
        if options.images:
            raise UserError("images: this probe looks at the network alone; leave them out")
        return Seen([], None, None, (), None)
    if options.images:
        files = find(options.images)
        known = {name: getattr(options.data, name, None) for name in ("bits", "max_megapixels")}
        reading = decide(list(files.values()), **known)
        images = [to_tensor(decode_image(file, reading), size) for file in files.values()]
        return Seen(images, None, None, (), None)
    data: Dataset = options.data.open(options.split or ("val" if segmenter else "train"))
    return sample(data, options.sample or options.probe.images, size)


def sample(data: Dataset, count: int, size: int | None) -> Seen:
    """`count` images of a data set, evenly chosen, with their masks where there are some."""
    places = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int)).tolist()
    tolerance = Tolerance(len(data), data.tolerate)
    read = [tolerance.read(data.__getitem__, place) for place in places]
    chosen, samples = [place for place, _ in read], [sample for _, sample in read]
    images = [to_tensor(image, size) for image, _, _ in samples]
    masks = [mask_to_tensor(s.mask, i) for s, i in zip(samples, images) if s.mask is not None]
    labels = [data.names[data.labels[i]] for i in chosen] if isinstance(data, ClassFolder) else None
    return Seen(images, masks if len(masks) == len(images) else None, labels, data.classes, data.palette)


def together(findings: dict[str, Finding], palette: np.ndarray | None = None) -> dict[str, Plot]:
    """Each figure with those of the same name of all models beside it; predictions in one row too."""
    names = dict.fromkeys(figure for finding in findings.values() for figure in finding.figures)
    plots = {
        name: beside({model: finding.figures[name] for model, finding in findings.items() if name in finding.figures})
        for name in names
    }
    if palette is not None and len(findings) > 1 and all(finding.scenes for finding in findings.values()):
        plots["compared"] = compare(findings, palette)
    return plots


def show(findings: dict[str, Finding], as_json: bool) -> None:
    if as_json:
        numbers = {name: without_nan(dict(finding.numbers)) for name, finding in findings.items()}
        print(json.dumps(numbers, indent=2))
        return
    rows = dict.fromkeys(number for finding in findings.values() for number in finding.numbers)
    table = Table("", *findings)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        values = [finding.numbers.get(row) for finding in findings.values()]
        table.add_row(row, *["" if value is None else f"{value:.4g}" for value in values])
    if rows:
        console.print(table)
