"""twinsight data: list, detect, check, show, convert and make data sets."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from rich.progress import Progress
from rich.table import Table

from twinsight.assemble.explain import explain, in_lines
from twinsight.assemble.opening import announce, data_set, splits
from twinsight.commands.check_files import write_json
from twinsight.commands.check_page import write_check_page
from twinsight.commands.convert import convert
from twinsight.console import console, notes, tell
from twinsight.data.check import Checkup, check, verdict
from twinsight.data.checkup.shared import shared_findings
from twinsight.data.checkup.tables import lines_of, render
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.data.shapes import write
from twinsight.data.wording import number
from twinsight.errors import UserError
from twinsight.options.build import called
from twinsight.options.commands import DataCheck, DataConvert, DataDetect, DataList, DataMake, DataShow
from twinsight.options.data import DATA
from twinsight.options.files import FileOptions
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_file, check_folder
from twinsight.probes.draw import check_format
from twinsight.probes.grids import contact_sheet


def list_data(options: DataList) -> None:
    table = Table("--data", "what it is", "options of its own")
    shared = [field.name for field in fields(FileOptions)]
    for name, cls in DATA.items():
        names = [field.name for field in fields(cls) if field.name not in ("name", *shared)]
        table.add_row(name, (cls.__doc__ or "").strip(), " ".join(map(flag, names)))
    console.print(table)
    console.print("Data in files also take", " ".join(map(flag, shared)), soft_wrap=False)


def flag(name: str) -> str:
    return f"--data.{name.replace('_', '-')}"


def detect_data(options: DataDetect) -> None:
    """Raises UserError, after the answer is printed, if the folder cannot be opened as it is."""
    answer = explain(options.folder)
    print(json.dumps(answer, indent=2) if options.json else in_lines(answer))
    if answer["problem"]:
        raise UserError(answer["problem"])


def check_data(options: DataCheck) -> None:
    """Raises UserError at the end if the data set is unsound."""
    check_ranges(options)
    for output, file in (("html", options.html), ("json", options.json)):
        if file is not None:
            check_file(output, file, options, options.overwrite)
    datasets = open_splits(options)
    first = next(iter(datasets.values()))
    counts = number(len(first), "image") if options.split else splits(*datasets.values())
    announce("data check", data_set(options.data, counts, first))
    checkups: dict[str, Checkup] = {}
    for split, dataset in datasets.items():
        checkups[split] = read(dataset, split)
        console.print(f"[bold]{split}[/bold]")
        console.print(render(checkups[split]))
        if isinstance(dataset, ClassFolder):
            counts = np.bincount(dataset.targets, minlength=len(dataset.names))
            console.print(f"{number(len(counts), 'class')}, of {counts.min()} to {number(counts.max(), 'image')}")
    shared = shared_findings(*(each.facts for each in checkups.values())) if len(checkups) == 2 else []
    for line in (line for finding in shared for line in lines_of(finding)):
        console.print(line)
    if options.json is not None:
        write_json(options.json, checkups, shared)
    if options.html is not None:
        name = getattr(options.data, "root", Path(called(options.data))).resolve().name
        write_check_page(options.html, name, checkups, shared)
    findings = [finding for each in checkups.values() for finding in each.findings] + shared
    if verdict(findings) == "unsound":
        grave = ", ".join(f"{each.count} {each.kind}" for each in findings if each.weight == "unsound")
        raise UserError(f"--data {options.data.name}: is unsound ({grave}, named above); correct it before you train")


def open_splits(options: DataCheck) -> dict[str, Dataset]:
    """The splits to check; train alone of images without masks, which have nothing to validate on."""
    if options.split is not None:
        return {options.split: options.data.open(options.split)}
    train = options.data.open("train")
    if not train.classes and not isinstance(train, ClassFolder):
        return {"train": train}
    return {"train": train, "val": options.data.settled(train).open("val")}


def read(dataset: Dataset, split: str) -> Checkup:
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(f"reading {split}", total=len(dataset))
        return check(dataset, lambda done, total: progress.update(task, completed=done), split)


def show_data(options: DataShow) -> None:
    check_ranges(options)
    check_file("out", options.out, options, options.overwrite)
    check_format(options.out)
    dataset = options.data.open(options.split)
    announce("data show", data_set(options.data, f"{options.split}: {number(len(dataset), 'image')}", dataset))
    chosen = np.random.default_rng(options.seed).permutation(len(dataset))[: options.count]
    samples = [dataset[int(index)] for index in sorted(chosen)]
    contact_sheet(samples, dataset.classes, dataset.palette).save(options.out)
    tell(f"data show: {len(samples)} of {number(len(dataset), 'image')}, in {options.out}")


def convert_data(options: DataConvert) -> None:
    check_ranges(options)
    check_folder("out", options.out, options)
    convert(options)


def make_data(options: DataMake) -> None:
    check_ranges(options)
    check_folder("folder", options.folder, options)
    write(options.folder, options.data.open("train"), options.data.open("val"))
    tell(f"data make: in {options.folder}; use it with --data folder --data.root {options.folder}")
