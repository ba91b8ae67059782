"""Your own data: a folder of images, a folder of images and one of masks, or a folder in VOC layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.label_images import masks_beside
from twinsight.data.palettes import class_colors
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.search import find_by_name, find_images, no_images
from twinsight.data.splits import ROLES, choose, counts, divide, role, stated
from twinsight.data.values import Values
from twinsight.data.voc import is_layout, read_layout, split_file
from twinsight.errors import UserError
from twinsight.plain import read_lines


class Folder(Dataset):
    """Images of any folder, with masks where there are some.

    With `masks`, images and masks pair up by their path below the two folders, extensions aside. Without, a root that
    holds images and masks, or train/images, train/masks, val/images and so on, brings its own masks; so does one in
    VOC layout (ImageSets/Segmentation/*.txt). Any other root is images without labels, read recursively, but for masks
    called NAME_mask or the like beside their image.

    Splits are those of VOC's lists, or those that folders state: images/train with masks/train, train/images, or train
    alone, and likewise val, valid, validation and test. Else a stable hash of each path holds `val_fraction` of the
    pairs out, so that adding images moves none of the others, and images without masks are all in train.

    root: the folder of images, or one of those above.
    split: "train", "val", "all", which is both, or "test" where it is stated.
    masks: the folder of masks, single-channel images of class indices with 255 for void.
    classes: the names of the classes, or a file with one per line; by default classes.txt in root or in masks.
    val_fraction: 0 to 1. group: what keeps images on one side of that split (see `splits.group_of`).
    values, void: what masks hold in place of 0, 1, 2, ... and 255 (see `Values`).

    Raises UserError if a folder is missing or empty, an image lacks its mask or a mask its image, the split
    is empty, or masks come without names of classes.
    """

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
        self.values: Values | None = None
        folders = [] if masks is None and is_layout(root) else paired_folders(root, masks)
        if folders:
            pairs = pair(folders)
            roles, self.split_note = divide(pairs, val_fraction, group)
            entries = choose(pairs, roles, split)
            self.relatives = [entry.image for entry in pairs]
            if not entries:
                raise UserError(
                    f"val_fraction {val_fraction}: leaves none of {len(pairs)} pairs for {split}; choose another"
                )
        elif is_layout(root):
            entries = read_layout(root, "trainval" if split == "all" else split)
            self.relatives = find_images(root / "JPEGImages")
            named = [name for name in ("train", "val") if split_file(root, name).is_file()]
            lengths = (f"{len(read_lines(split_file(root, name)))} {name}" for name in named)
            self.split_note = f"{', '.join(lengths)}, as the lists of ImageSets/Segmentation say"
        else:
            if group is not None:
                raise UserError(f"--data.group {group}: {root} has no masks, so nothing is held out; leave it out")
            entries, self.split_note, self.relatives = unlabeled(root, split)
            super().__init__(entries)
            return
        names = find_classes(root, [there for _, there, _ in folders], classes)
        if values is not None or void is not None:
            self.values = Values(len(names), values, void)
            self.coding = (str(self.values),)
        stored = tuple(range(len(names))) if self.values is None else self.values.values
        super().__init__(entries, names, class_colors(entries[0].mask, stored))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        stored = super().decode_mask(entry)
        return stored if self.values is None or entry.mask is None else self.values(stored, entry.mask)


def unlabeled(root: Path, split: str) -> tuple[list[Entry], str, list[Path]]:
    """The entries of a split, a sentence on the splits, and the images of all of them."""
    files = find_images(root)
    masks = masks_beside(files)
    entries = [Entry(path.relative_to(root).as_posix(), path) for path in files if path not in masks]
    if not entries:
        raise no_images(root)
    roles = stated({entry.id: entry.image for entry in entries})
    note = f"{len(entries)} images without masks" if roles is None else f"{counts(roles)}, as the folders say"
    if masks:
        note += f"; left out: {len(masks)} masks beside their images, such as {min(masks).name}"
    chosen = choose(entries, roles or ["train"] * len(entries), split)
    if not chosen:
        raise UserError(f"{root}: has no masks, so there is nothing to validate on; give a folder of masks")
    return chosen, note, [entry.image for entry in entries]


def paired_folders(root: Path, masks: Path | None) -> list[tuple[Path, Path, str]]:
    """Folders of images, the folders of their masks, and what stands before the names of both; none without masks."""
    if masks is not None:
        return [(root, masks, "")]
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return [(root / "images", root / "masks", "")]
    splits = sorted(child for child in root.iterdir() if child.name.lower() in ROLES and (child / "images").is_dir())
    labeled = [child for child in splits if (child / "masks").is_dir()]
    for child in splits if labeled else []:
        if child not in labeled and ROLES[child.name.lower()] != "test":
            raise UserError(f"{child}: holds images, and no masks beside them as {labeled[0]} does; add a folder masks")
    return [(child / "images", child / "masks", f"{child.name}/") for child in labeled]


def pair(folders: list[tuple[Path, Path, str]]) -> list[Entry]:
    """Entries of folders with the same names in them; raises UserError for a name that only one of two has.

    Images that folders state to be of test may all be without masks, and are then left out.
    """
    entries: list[Entry] = []
    for root, masks, prefix in folders:
        if root.resolve() == masks.resolve():
            raise UserError(f"--data.masks {masks}: is the folder of images too; give masks a folder of their own")
        images = {name: file for name, file in find_by_name(root).items() if masks not in file.parents}
        labels = find_by_name(masks)
        if not any(role(name) == "test" for name in labels) and stated(images):
            images = {name: file for name, file in images.items() if role(name) != "test"}
        compare(root, images, masks, labels)
        entries += [Entry(prefix + name, image, labels[name]) for name, image in images.items()]
    return entries


def compare(root: Path, images: dict[str, Path], masks: Path, labels: dict[str, Path]) -> None:
    for folder, found, other, others, kind, lacks in (
        (root, images, masks, labels, "image", "mask"),
        (masks, labels, root, images, "mask", "image"),
    ):
        if not found:
            raise no_images(folder, kind)
        alone = sorted(found.keys() - others.keys())
        if alone:
            raise UserError(
                f"{found[alone[0]]}: has no {lacks} of the same name in {other}, as {len(alone)} of "
                f"{len(found)} {kind}s; add what is missing, or move them away"
            )


def find_classes(root: Path, masks: Sequence[Path], classes: Path | Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        files = [folder / "classes.txt" for folder in (root, *masks)]
        classes = next((file for file in files if file.is_file()), None)
        if classes is None:
            raise UserError(
                f"{files[0]}: is missing; write the names of the classes there, one per line, class 0 first"
            )
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
