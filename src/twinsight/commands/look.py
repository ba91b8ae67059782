"""twinsight look: a probe put to one model or several side by side, answered with figures and numbers."""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from twinsight.assemble.data import Seen, evenly, find, sample
from twinsight.assemble.open import Opened, open_model
from twinsight.assemble.opening import announce, data_set, images, weights_of
from twinsight.console import console, tell
from twinsight.data.decode import decode_image
from twinsight.data.depth import decide
from twinsight.data.samples import Dataset
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.files import without_nan
from twinsight.options.build import build, target_of
from twinsight.options.methods import TwoViewsOptions
from twinsight.options.probes import PROBES
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_folder
from twinsight.probes.draw import Plot
from twinsight.probes.finding import Finding
from twinsight.probes.images import to_tensor
from twinsight.probes.side_by_side import stem, together
from twinsight.quantities import quantity, title
from twinsight.runs.rows import read_rows


def run(options: Any) -> dict[str, Finding]:
    check_ranges(options)
    check_folder("out", options.out, options)
    probe, name = options.probe, probe_name(options)
    if not options.overwrite:
        check_figures(options.out, name, options.format)
    plots, findings = curves(options) if name == "curves" else look(options, probe, name)
    files = {figure: options.out / f"{stem(name, figure, plots)}.{options.format}" for figure in plots}
    show(findings, as_json=options.numbers)
    for figure, plot in plots.items():
        plot.save(files[figure])
        tell(f"look: {files[figure]}")
    return findings


def check_figures(folder: Path, probe: str, ending: str) -> None:
    """Raises UserError for figures of an earlier look, since which ones this look has is known only at its end."""
    earlier = sorted(folder.glob(f"{probe}*.{ending}")) if folder.is_dir() else []
    there = next((file for file in earlier if file.stem == probe or file.stem.startswith(f"{probe}-")), None)
    if there is not None:
        raise UserError(f"{there}: exists; choose another --out or give --overwrite")


def probe_name(options: Any) -> str:
    return next(name for name, kind in PROBES.items() if isinstance(options.probe, kind))


def look(options: Any, probe: Any, name: str) -> tuple[dict[str, Plot], dict[str, Finding]]:
    device = Device(options.accelerator).torch
    if not options.weights and name != "views":
        line = shlex.join(["twinsight", "look", name, *map(str, options.images), "--weights"])
        raise UserError(f"--weights: none given; name a run directory, a weights file or a timm model: {line} runs/RUN")
    subject = target_of(probe).subject
    models = [open_model(spec, options.backbone, options.checkpoint, device, subject) for spec in options.weights]
    models = models or [Opened("defaults", {}, build(TwoViewsOptions()))]
    seen = read_images(options, any("segmenter" in model.subjects for model in models))
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
        chosen = [list(files.values())[place] for place in evenly(len(files), options.sample or options.probe.images)]
        if len(chosen) < len(files):
            tell(f"look: {len(chosen)} of {images(len(files))}, evenly chosen; --sample {len(files)} looks at all")
        return Seen([to_tensor(decode_image(file, reading), size) for file in chosen], None, None, (), None)
    data: Dataset = options.data.open(options.split or ("val" if segmenter else "train"))
    return sample(data, options.sample or options.probe.images, size)


def show(findings: dict[str, Finding], as_json: bool) -> None:
    if as_json:
        numbers = {name: without_nan(dict(finding.numbers)) for name, finding in findings.items()}
        print(json.dumps(numbers, indent=2))
        return
    rows = dict.fromkeys(number for finding in findings.values() for number in finding.numbers)
    table = Table("", *findings)
    names = {name: what for finding in findings.values() for name, what in finding.names.items()}
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        values = [finding.numbers.get(row) for finding in findings.values()]
        what = quantity(row, names)
        table.add_row(title(row, names), *["" if value is None else what.text(value) for value in values])
    if rows:
        console.print(table)
