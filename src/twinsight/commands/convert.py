"""twinsight data convert: a data set in a form that other programs read."""

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from twinsight.assemble.datasets import with_masks
from twinsight.console import tell, tracked
from twinsight.data.checkup.header import read_header
from twinsight.data.exports.export import Export
from twinsight.data.folder import Folder
from twinsight.data.forms import FORMS, Form
from twinsight.data.pairing import without_kinds
from twinsight.data.samples import Dataset
from twinsight.data.tolerated import limit, too_many
from twinsight.errors import NoSplitError, UserError
from twinsight.files import refuse_filled, whole_folder
from twinsight.options.commands import DataConvert


def convert(options: DataConvert) -> None:
    """Raises UserError, and writes nothing, if a file is broken that `--data.tolerate` does not cover."""
    refuse_filled(options.out)
    root: Path | None = getattr(options.data, "root", None)
    if root is not None and root.resolve() in options.out.resolve().parents:
        raise UserError(f"{options.out}: is inside the data set {root}; choose a folder outside of it")
    splits = open_splits(options)
    train = splits["train"]
    with whole_folder(options.out) as folder:
        form = FORMS[options.to](folder, train.classes, train.palette)
        counts = write(form, splits, options.link)
        note = form.finish()
    if note:
        tell(f"data convert: {note}")
    written = ", ".join(f"{count} {split}" for split, count in counts.items())
    out = shlex.quote(str(options.out))
    tell(f"data convert: {written}, in {options.out}; train on them with twinsight segment {out}")


def open_splits(options: DataConvert) -> dict[str, Dataset]:
    """train, val, which --data.val-fraction 0 may leave empty, and, if there is one, test."""
    train = with_masks(options.data.open("train"))
    data = options.data.settled(train)
    splits: dict[str, Dataset] = {"train": train}
    try:
        splits["val"] = with_masks(data.open("val"))
    except NoSplitError:
        if getattr(data, "val_fraction", None) != 0:
            raise
    if isinstance(train, Folder | Export) and data.val != "test":
        try:
            splits["test"] = replace(data, val="test").open("val")
        except NoSplitError:
            pass
        except UserError as error:  # such as a list of test images whose masks are secret
            tell(f"data convert: test is left out ({error})")
    return splits


def write(form: Form, splits: Mapping[str, Dataset], link: bool) -> dict[str, int]:
    """How many samples were written of each split."""
    samples = [(split, index) for split, dataset in splits.items() for index in range(len(dataset))]
    counts, broken, sources = dict.fromkeys(splits, 0), dict.fromkeys(splits, 0), dict[Path, Path]()
    upright = 0
    for split, index in tracked(samples, "converting", len(samples)):
        dataset = splits[split]
        try:
            sample = dataset[index]
        except UserError as error:
            broken[split] += 1
            allowed = limit(len(dataset), dataset.tolerate)
            if broken[split] > allowed:
                raise too_many(error, broken[split], allowed, broken[split] + counts[split]) from error
            tell(f"left out: {error}")
            continue
        assert sample.mask is not None
        name, source = without_kinds(sample.id), dataset.entries[index].image
        stem = form.stem(split, name)
        if sources.setdefault(stem, source) != source:
            raise UserError(f"{source}: would get the name of {sources[stem]}, {name}; rename one of them")
        drawn = type(dataset).image is not Dataset.image  # or read in a way of its own
        drawn |= source.suffix == ".json"  # which embeds it
        turned = not drawn and is_turned(source)
        form.add(split, name, put_image(sample.image, source, stem, drawn or turned, link), sample.mask)
        upright += turned
        counts[split] += 1
    if upright:
        files = "image that EXIF turns is" if upright == 1 else "images that EXIF turns are"
        tell(f"data convert: {upright} {files} written upright, as PNG")
    return counts


def is_turned(source: Path) -> bool:
    """Whether EXIF turns an image, which many readers leave out, while its mask is upright."""
    return read_header(source, source.read_bytes()).orientation != 1


def put_image(image: np.ndarray, source: Path, stem: Path, made: bool, link: bool) -> Path:
    """Copy or link an image file as it is, or write as a PNG what the data set makes of it."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    target = stem.with_name(f"{stem.name}{'.png' if made else source.suffix}")
    if made:
        Image.fromarray(image).save(target, format="PNG")
    elif not link:
        shutil.copyfile(source, target)
    elif not target.exists():  # an image may be in two splits
        try:
            os.link(source.resolve(), target)
        except OSError as error:
            raise UserError(f"--link: {source} cannot be linked ({error.strerror}); leave out --link") from error
    return target
