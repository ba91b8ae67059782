"""twinsight data: list, check, show and make data sets."""

from dataclasses import fields

import numpy as np
from rich.progress import Progress
from rich.table import Table

from twinsight.choices.data import DATA
from twinsight.config import DataCheck, DataList, DataMake, DataShow
from twinsight.console import console, notes, told
from twinsight.data.check import Verdict, check, render
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.probes.draw import contact_sheet
from twinsight.ranges import check_ranges


def list_data(options: DataList) -> None:
    table = Table("--data", "what it is", "options")
    for name, cls in DATA.items():
        names = [field.name for field in fields(cls) if field.name != "name"]
        flags = [f"--data.{field.replace('_', '-')}" for field in names]
        table.add_row(name, (cls.__doc__ or "").strip(), " ".join(flags))
    console.print(table)


def check_data(options: DataCheck) -> None:
    """Raises UserError at the end if any sample is broken."""
    check_ranges(options)
    broken = 0
    for split in ("train", "val") if options.split is None else (options.split,):
        dataset = options.data.open(split)
        verdict = read(dataset, f"reading {split}")
        console.print(f"[bold]{options.data.name}, {split}[/bold]")
        console.print(render(verdict))
        broken += len(verdict.broken)
        if isinstance(dataset, ClassFolder):
            counts = np.bincount(dataset.labels, minlength=len(dataset.names))
            console.print(f"{len(counts)} classes, of {counts.min()} to {counts.max()} images")
        elif options.split is None and not dataset.classes:
            break  # images without masks have nothing to validate on
    if broken:
        raise UserError(f"--data {options.data.name}: {broken} samples are broken, named above; mend or remove them")


def read(dataset: Dataset, title: str) -> Verdict:
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(title, total=len(dataset))
        return check(dataset, lambda done, total: progress.update(task, completed=done))


def show_data(options: DataShow) -> None:
    check_ranges(options)
    dataset = options.data.open(options.split)
    chosen = np.random.default_rng(options.seed).permutation(len(dataset))[: options.count]
    samples = [dataset[int(index)] for index in sorted(chosen)]
    contact_sheet(samples, dataset.classes, dataset.palette).save(options.out)
    told(f"data show: {len(samples)} of {len(dataset)} images, in {options.out}")


def make_data(options: DataMake) -> None:
    from twinsight.data.shapes import write

    check_ranges(options)
    write(options.folder, options.data.open("train"), options.data.open("val"))
    told(f"data make: in {options.folder}; use it with --data folder --data.root {options.folder}")
