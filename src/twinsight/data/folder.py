"""Your own data: a folder of images, a folder of images and one of masks, or a folder in VOC layout."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.search import find_by_name, find_images
from twinsight.data.text import lines
from twinsight.data.voc import is_layout, read_layout
from twinsight.errors import UserError


class Folder(Dataset):
    """Images of any folder, with masks where there are some.

    With `masks`, images and masks pair up by their path below the two folders, extensions aside, and a stable
    hash of each path holds `val_fraction` of the pairs out, so that adding images moves none of the others.
    Without, a root in VOC layout (ImageSets/Segmentation/*.txt) brings its own masks and splits, and any
    other root is images without labels, read recursively, all of them in train.

    root: the folder of images, or a folder in VOC layout.
    split: "train", "val" or "all".
    masks: the folder of masks, single-channel images of class indices with 255 for void.
    classes: the names of the classes, or a file with one a line; by default classes.txt in root or in masks.
    val_fraction: 0 to 1.

    Raises UserError if a folder is missing or empty, an image lacks its mask or a mask its image, the split
    is empty, or masks come without names of classes.
    """

    def __init__(
        self,
        root: Path,
        split: str = "train",
        masks: Path | None = None,
        classes: Path | Sequence[str] | None = None,
        val_fraction: float = 0.2,
    ):
        if split not in ("train", "val", "all"):
            raise UserError(f"split {split}: there is no such split; choose train, val or all")
        for folder in (root, masks):
            if folder is not None and not folder.is_dir():
                raise UserError(f"{folder}: there is no such folder; check the path")
        if masks is not None:
            entries = hold_out(pair(root, masks), split, val_fraction)
        elif is_layout(root):
            entries = read_layout(root, "trainval" if split == "all" else split)
        else:
            super().__init__(unlabeled(root, split))
            return
        names = find_classes(root, masks, classes)
        super().__init__(entries, names, stored_palette(entries[0].mask, len(names)))


def unlabeled(root: Path, split: str) -> list[Entry]:
    if split == "val":
        raise UserError(f"{root}: has no masks, so there is nothing to validate on; give a folder of masks")
    images = find_images(root)
    if not images:
        raise UserError(f"{root}: holds no image (JPEG, PNG, WebP, BMP or TIFF); check the path")
    return [Entry(path.relative_to(root).as_posix(), path) for path in images]


def pair(root: Path, masks: Path) -> list[Entry]:
    """Entries of two folders with the same names in them; raises UserError for a name that only one has."""
    found = {folder: find_by_name(folder) for folder in (root, masks)}
    for folder, other, kind, lacks in ((root, masks, "image", "mask"), (masks, root, "mask", "image")):
        if not found[folder]:
            raise UserError(f"{folder}: holds no {kind} (JPEG, PNG, WebP, BMP or TIFF); check the path")
        alone = sorted(found[folder].keys() - found[other].keys())
        if alone:
            raise UserError(
                f"{found[folder][alone[0]]}: has no {lacks} of the same name in {other}, as {len(alone)} of "
                f"{len(found[folder])} {kind}s; add what is missing, or move them away"
            )
    return [Entry(name, image, found[masks][name]) for name, image in found[root].items()]


def hold_out(entries: list[Entry], split: str, val_fraction: float) -> list[Entry]:
    if not 0 <= val_fraction <= 1:
        raise UserError(f"val_fraction {val_fraction}: is no fraction; choose one from 0 to 1")
    if split == "all":
        return entries
    chosen = [entry for entry in entries if (position(entry.id) < val_fraction) == (split == "val")]
    if not chosen:
        raise UserError(f"val_fraction {val_fraction}: leaves none of {len(entries)} pairs for {split}; choose another")
    return chosen


def position(name: str) -> float:
    """A number in [0, 1) that depends on the name alone, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest()) / 2**48


def stored_palette(mask: Path | None, classes: int) -> np.ndarray | None:
    """(classes, 3) uint8: the colors that a palette PNG gives its classes; None if it has none, or two alike."""
    try:
        with Image.open(mask or "") as file:
            colors = file.getpalette() if file.mode == "P" else None
    except OSError:  # reading the sample will name the broken file
        return None
    palette = np.array((colors or [])[: 3 * classes], np.uint8).reshape(-1, 3)
    return palette if len(palette) == len(np.unique(palette, axis=0)) == classes else None


def find_classes(root: Path, masks: Path | None, classes: Path | Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        files = [folder / "classes.txt" for folder in (root, masks) if folder is not None]
        classes = next((file for file in files if file.is_file()), None)
        if classes is None:
            raise UserError(f"{files[0]}: is missing; write the names of the classes there, one a line, class 0 first")
    return read_classes(classes) if isinstance(classes, Path) else tuple(classes)


def read_classes(file: Path) -> tuple[str, ...]:
    """The names of the classes, one a line; the first is class 0."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; write the names of the classes there, one a line")
    names = tuple(lines(file))
    if not 0 < len(names) <= VOID or len(set(names)) < len(names):
        raise UserError(
            f"{file}: names {len(names)} classes, {len(set(names))} of them different; "
            f"write 1 to {VOID} names, each once"
        )
    return names
