"""Your own data: a folder of images, a folder of images and one of masks, or a folder in VOC layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.colors import Colors
from twinsight.data.label_images import masks_beside
from twinsight.data.masks import is_colored, is_gray_picture
from twinsight.data.pairing import ARRAYS, Paired, pair_up
from twinsight.data.palettes import class_colors
from twinsight.data.samples import VOID, Dataset, Entry, voc_palette
from twinsight.data.search import find_images, no_images
from twinsight.data.splits import ROLES, choose, counts, divide, role, stated
from twinsight.data.unnamed import BINARY, binary_values, two_values
from twinsight.data.values import Values
from twinsight.data.voc import is_layout, read_layout, split_file
from twinsight.data.wording import number
from twinsight.errors import NoSplitError, UserError
from twinsight.plain import read_lines

VOC_LINE = "in classes.csv, with the lines name,r,g,b and NAME,{color} for every class"


class Folder(Dataset):
    """Images of any folder, with masks where there are some.

    Images and masks pair up by their paths, extensions aside: below root and `masks`, or without `masks` below folders
    called images, img or the like and masks, labels, annotations, gt or the like, at any depth, or beside each other.
    Masks may be called NAME_mask or the like (`pairing.pair_up`). A root in VOC layout (ImageSets/Segmentation/*.txt)
    brings its own masks too. Any other root is images without labels, read recursively.

    Splits are those of VOC's lists, or those that folders state: images/train with masks/train, train/images, or train
    alone, and likewise val, valid, validation and test. Else a stable hash of each path holds `val_fraction` of the
    pairs out, so that adding images moves none of the others, and images without masks are all in train.

    root: the folder of images, or one of those above.
    split: "train", "val", "all", which is both, or "test" where it is stated.
    masks: the folder of masks, single-channel images or (H, W) arrays of class indices with 255 for void.
    classes: the names of the classes, or a file with one per line; by default classes.txt in root or in masks. Masks
    of 0 and 255, or of 0 and 1, need none: they hold background and foreground. Where two classes are named and masks
    hold 0 and 255 alone, 255 is the second class.
    val_fraction: 0 to 1. group: what keeps images on one side of that split (see `splits.group_of`).
    Masks in color are in VOC's, class 0 in black; other colors need a table (`exports.color_masks`).
    values, void: what masks hold in place of 0, 1, 2, ... and 255 (see `Values`).

    Raises UserError if a folder is missing or empty, an image lacks its mask or a mask its image, the split
    is empty, or masks come without names of classes.
    """

    title = "images and masks"
    remedy = "correct the mask or the list of classes, or say by --data.values which value each class has"

    def __init__(
        self,
        root: Path,
        split: str = "train",
        masks: Path | None = None,
        classes: Path | Sequence[str] | None = None,
        val_fraction: float = 0.2,
        values: Sequence[int] | None = None,
        void: Sequence[int] | None = None,
        group: str | None = None,
    ):
        if split not in ("all", *ROLES.values()):
            raise UserError(f"split {split}: there is no such split; choose train, val or all")
        for folder in (root, masks):
            if folder is not None and not folder.is_dir():
                raise UserError(f"{folder}: there is no such folder; check the path")
        if masks is not None and root.resolve() == masks.resolve():
            raise UserError(f"--data.masks {masks}: is the folder of images too; give masks a folder of their own")
        self.values: Values | None = None
        self.colors: Colors | None = None
        if masks is None and is_layout(root):
            pairs = entries = read_layout(root, "trainval" if split == "all" else split)
            self.relatives = find_images(root / "JPEGImages")
            named = [name for name in ("train", "val") if split_file(root, name).is_file()]
            lengths = (f"{len(read_lines(split_file(root, name)))} {name}" for name in named)
            self.split_note = f"{', '.join(lengths)}, as the lists of ImageSets/Segmentation say"
        elif (paired := pair_up(root, files := find_images(root, ARRAYS), masks)) is not None:
            pairs = pair(paired, root, masks or root)
            roles, self.split_note = divide(pairs, val_fraction, group)
            entries = choose(pairs, roles, split)
            self.relatives = [entry.image for entry in pairs]
            if not entries:
                raise NoSplitError(
                    f"val_fraction {val_fraction}: leaves none of {len(pairs)} pairs for {split}; choose another"
                )
        else:
            if group is not None:
                raise UserError(f"--data.group {group}: {root} has no masks, so nothing is held out; leave it out")
            entries, self.split_note, self.relatives = unlabeled(root, files, split)
            self.title = "images"
            super().__init__(entries)
            return
        names = find_classes(root, masks_of(pairs, masks or root), classes)
        if names is None and values is None and void is None:
            values = binary_values(pairs, root / "classes.txt")
            self.split_note += f"; masks of {values[0]} and {values[1]}, read as {' and '.join(BINARY)}"
        elif names and len(names) == 2 and values is None and void is None and (values := two_values(pairs)):
            self.split_note += f"; masks of 0 and 255, read as {' and '.join(names)}"
        if names is None and (values is None or len(values) != 2):
            raise UserError(
                f"{root / 'classes.txt'}: is missing; write the names of the classes there, one per line, class 0 first"
            )
        names = BINARY if names is None else names
        if values is not None or void is not None:
            self.values = Values(len(names), values, void)
            self.coding = (str(self.values),)
        elif entries[0].mask is not None and is_colored(entries[0].mask):
            self.colors = Colors(names, voc_palette(len(names)), (), Path("VOC's palette"), VOC_LINE)
            self.split_note += "; masks in VOC's colors"
        if entries[0].mask is not None and is_gray_picture(entries[0].mask):
            self.split_note += "; masks of three equal channels, read as gray"
        stored = tuple(range(len(names))) if self.values is None else self.values.values
        super().__init__(entries, names, class_colors(entries[0].mask, stored))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        if self.colors is not None and entry.mask is not None:
            return self.colors.decode(entry.mask, self.reading)
        stored = super().decode_mask(entry)
        return stored if self.values is None or entry.mask is None else self.values(stored, entry.mask)


def unlabeled(root: Path, found: list[Path], split: str) -> tuple[list[Entry], str, list[Path]]:
    """The entries of a split, a sentence on the splits, and the images of all of them."""
    files = [file for file in found if file.suffix.lower() not in ARRAYS]
    masks = masks_beside(files)
    entries = [Entry(path.relative_to(root).as_posix(), path) for path in files if path not in masks]
    if not entries:
        raise no_images(root)
    roles = stated({entry.id: entry.image for entry in entries})
    note = f"{number(len(entries), 'image')} without masks" if roles is None else f"{counts(roles)}, as the folders say"
    if masks:
        note += f"; left out: {number(len(masks), 'mask')} beside images, such as {min(masks).name}"
    chosen = choose(entries, roles or ["train"] * len(entries), split)
    if not chosen:
        raise UserError(f"{root}: has no masks, so there is nothing to validate on; give a folder of masks")
    return chosen, note, [entry.image for entry in entries]


def pair(paired: Paired, root: Path, masks: Path) -> list[Entry]:
    """Entries of images and masks; raises UserError if one lacks the other.

    Images that folders state to be of test may all be without masks, and are then left out.
    """
    images, labels = paired
    if not any(role(name) == "test" for name in labels) and stated(images):
        images = {name: file for name, file in images.items() if role(name) != "test"}
    for folder, found, other, others, kind, lacks in (
        (root, images, masks, labels, "image", "mask"),
        (masks, labels, root, images, "mask", "image"),
    ):
        if not found:
            raise no_images(folder, kind)
        alone = sorted(found.keys() - others.keys())
        if alone:
            raise UserError(
                f"{found[alone[0]]}: has no {lacks} of the same name in {other} ({len(alone)} of "
                f"{number(len(found), kind)}); add what is missing, or move them away"
            )
    return [Entry(name, image, labels[name]) for name, image in images.items()]


def masks_of(pairs: Sequence[Entry], base: Path) -> list[Path]:
    """The folders that masks lie in, and those above them up to `base`, the outermost first."""
    inner = {entry.mask.parent for entry in pairs if entry.mask is not None}
    found = {folder for each in inner for folder in (each, *each.parents) if folder.is_relative_to(base)}
    return sorted(found, key=lambda folder: (len(folder.parts), folder))


def find_classes(root: Path, masks: Sequence[Path], classes: Path | Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of the classes; None without a list of them."""
    if classes is None:
        files = [folder / "classes.txt" for folder in (root, *masks)]
        classes = next((file for file in files if file.is_file()), None)
        if classes is None:
            return None
    return read_classes(classes) if isinstance(classes, Path) else tuple(classes)


def read_classes(file: Path) -> tuple[str, ...]:
    """The names of the classes, one per line; the first is class 0."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; write the names of the classes there, one per line")
    names = tuple(read_lines(file))
    if not 0 < len(names) <= VOID or len(set(names)) < len(names):
        raise UserError(
            f"{file}: names {len(names)} classes, {len(set(names))} of them different; "
            f"write 1 to {VOID} names, each once"
        )
    return names
