"""twinsight look: a probe put to one model or several side by side, answered with figures and numbers."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from twinsight.assemble.looked import choose, read_curves
from twinsight.assemble.networks import check_backbone, check_device, check_model
from twinsight.console import console, loading, tell
from twinsight.errors import UserError
from twinsight.files import without_nan
from twinsight.options.probes import PROBES
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_folder
from twinsight.quantities import quantity, title

if TYPE_CHECKING:
    from twinsight.probes.finding import Finding


def run(options: Any) -> "dict[str, Finding]":
    name = probe_name(options)
    asked = check(options, name)
    loading("PyTorch")
    from twinsight.assemble.looking import compare, look
    from twinsight.probes.side_by_side import stem

    plots, findings = compare(options, asked) if name == "curves" else look(options, name, asked)
    files = {figure: options.out / f"{stem(name, figure, plots)}.{options.format}" for figure in plots}
    show(findings, as_json=options.numbers)
    for figure, plot in plots.items():
        plot.save(files[figure])
        tell(f"look: {files[figure]}")
    return findings


def check(options: Any, name: str) -> Any:
    """What is looked at: the curves of runs, or images. Raises UserError for what is missing or contradictory."""
    check_ranges(options)
    check_folder("out", options.out, options)
    if not options.overwrite:
        check_figures(options.out, name, options.format)
    if name == "curves":
        return read_curves(options.weights)
    if not options.weights and name != "views":
        line = shlex.join(["twinsight", "look", name, *map(str, options.images), "--weights"])
        raise UserError(f"--weights: none given; name a run directory, a weights file or a timm model: {line} runs/RUN")
    check_backbone(options.backbone.name)
    for spec in options.weights:
        check_model(spec)
    images = choose(options)
    check_device(options.accelerator)
    return images


def check_figures(folder: Path, probe: str, ending: str) -> None:
    """Raises UserError for figures of an earlier look, since which ones this look has is known only at its end."""
    earlier = sorted(folder.glob(f"{probe}*.{ending}")) if folder.is_dir() else []
    there = next((file for file in earlier if file.stem == probe or file.stem.startswith(f"{probe}-")), None)
    if there is not None:
        raise UserError(f"{there}: exists; choose another --out or give --overwrite")


def probe_name(options: Any) -> str:
    return next(name for name, kind in PROBES.items() if isinstance(options.probe, kind))


def show(findings: "dict[str, Finding]", as_json: bool) -> None:
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
