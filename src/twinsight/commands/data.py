"""twinsight data: list, check, show and make data sets."""

from dataclasses import fields, replace

import numpy as np
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from twinsight.console import console, notes, tell
from twinsight.data.check import Verdict, check, equal_pictures, render
from twinsight.data.class_folder import ClassFolder
from twinsight.data.glance import sentences
from twinsight.data.overlap import overlap
from twinsight.data.samples import Dataset
from twinsight.data.shapes import Shapes, write
from twinsight.errors import UserError
from twinsight.options.build import called
from twinsight.options.commands import DataCheck, DataList, DataMake, DataShow
from twinsight.options.data import DATA
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_file, check_folder
from twinsight.probes.draw import check_format
from twinsight.probes.grids import contact_sheet


def list_data(options: DataList) -> None:
    table = Table("--data", "what it is", "options")
    for name, cls in DATA.items():
        names = [field.name for field in fields(cls) if field.name != "name"]
        flags = [f"--data.{field.replace('_', '-')}" for field in names]
        table.add_row(name, (cls.__doc__ or "").strip(), " ".join(flags))
    console.print(table)


def check_data(options: DataCheck) -> None:
    """Raises UserError at the end if any sample is broken, masks mean nothing, or val is not apart from train."""
    check_ranges(options)
    verdicts: dict[str, tuple[Dataset, Verdict]] = {}
    for split in ("train", "val") if options.split is None else (options.split,):
        dataset = options.data.open(split)
        verdict = read(dataset, split)
        verdicts[split] = dataset, verdict
        console.print(f"[bold]{called(options.data)}, {split}[/bold]")
        console.print(render(verdict))
        if isinstance(dataset, ClassFolder):
            counts = np.bincount(dataset.labels, minlength=len(dataset.names))
            console.print(f"{len(counts)} classes, of {counts.min()} to {counts.max()} images")
        elif options.split is None and not dataset.classes:
            break  # images without masks have nothing to validate on
    shared = overlapping(*verdicts.values()) if len(verdicts) == 2 else []
    broken = sum(len(verdict.broken) for _, verdict in verdicts.values())
    if broken:
        raise UserError(
            f"--data {options.data.name}: {broken} broken sample{'' if broken == 1 else 's'}, named above; "
            "repair or remove them"
        )
    if shared or not all(verdict.ok for _, verdict in verdicts.values()):
        what = "train and val share images" if shared else "masks mean nothing"
        raise UserError(f"--data {options.data.name}: is unsound, since {what}, as said above; correct the data")


def overlapping(train: tuple[Dataset, Verdict], val: tuple[Dataset, Verdict]) -> list[str]:
    """A sentence for each way in which images are in train and in val, which is printed too.

    Pictures that are merely alike are said, but make nothing unsound: a fixed camera's all are.
    """
    if isinstance(train[0], Shapes):
        return []
    looked = overlap(train[0].entries, val[0].entries)
    same = equal_pictures(train[1], val[1])
    alike = [pair for pair in looked.alike if pair[1] not in {image for _, image in same}]
    found = replace(looked, same=same, alike=[], namesakes=[])
    for sentence in sentences(found):
        console.print(f"[red]unsound[/]: {escape(sentence)}")
    for sentence in sentences(replace(looked, same=[], alike=alike)):
        console.print(f"[yellow]check[/]: {escape(sentence)}")
    return sentences(found)


def read(dataset: Dataset, split: str) -> Verdict:
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(f"reading {split}", total=len(dataset))
        return check(dataset, lambda done, total: progress.update(task, completed=done), split)


def show_data(options: DataShow) -> None:
    check_ranges(options)
    check_file("out", options.out, options, options.overwrite)
    check_format(options.out)
    dataset = options.data.open(options.split)
    chosen = np.random.default_rng(options.seed).permutation(len(dataset))[: options.count]
    samples = [dataset[int(index)] for index in sorted(chosen)]
    contact_sheet(samples, dataset.classes, dataset.palette).save(options.out)
    tell(f"data show: {len(samples)} of {len(dataset)} images, in {options.out}")


def make_data(options: DataMake) -> None:
    check_ranges(options)
    check_folder("folder", options.folder, options)
    write(options.folder, options.data.open("train"), options.data.open("val"))
    tell(f"data make: in {options.folder}; use it with --data folder --data.root {options.folder}")
