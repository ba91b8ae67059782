"""What every export of an annotation tool has in common: how it is recognized, read and split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinsight.data.exports.survey import Survey
from twinsight.data.samples import Dataset, Entry
from twinsight.data.search import find_images
from twinsight.data.splits import choose, counts, divide, group_of, refuse_torn
from twinsight.errors import NoSplitError, UserError

BACKGROUND = "background"
"""The name of class 0 where a tool lists objects only: the pixels of none."""


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    entries: all splits together. Their ids are unique; those that begin with train/, val/ or test/ state their split.
    classes: index = label. palette: (classes, 3) uint8 RGB, or None for the default colors.
    roles: the split of each entry, if lists rather than folders state it.
    stating: what gives the splits that ids state, in words.
    note: what was left out, in words, such as "without annotations and left out: 3".
    """

    entries: Sequence[Entry]
    classes: Sequence[str]
    palette: np.ndarray | None = None
    roles: Sequence[str] | None = None
    stating: str = "the folders"
    note: str = ""


class Export(Dataset):
    """Images and masks as a tool exported them. A format is a subclass with a title, `recognizes` and `read`.

    Formats that draw their masks from polygons or runs override `decode_mask`; the others store label images.

    root: the folder that was exported, unpacked.
    split: "train", "val", "test", or "all", which is train and val.
    val_fraction: how much of train, from 0 to 1, is held out by a hash of names where the export states no val.
    group: what keeps images on one side of that split (see `splits.group_of`).

    Raises UserError if the folder is missing, is not of this format, contradicts itself, or the split is empty.
    """

    title: str
    """The format in words, as in "labelme annotations, 2 classes"; a folder's own may say more."""

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        """Whether a folder is of this format, by names of files and the beginnings of a few."""
        raise NotImplementedError

    def read(self, root: Path) -> Contents:
        """What the folder holds; called once, before anything else. Raises UserError if it contradicts itself."""
        raise NotImplementedError

    def __init__(self, root: Path, split: str = "train", val_fraction: float = 0.2, group: str | None = None):
        if not root.is_dir():
            raise UserError(f"{root}: there is no such folder; check the path")
        found = self.read(root)
        if found.roles is None:
            roles, self.split_note = divide(found.entries, val_fraction, group, found.stating)
        else:
            roles, self.split_note = found.roles, f"{counts(found.roles)}, as the lists say"
            if group is not None:
                refuse_torn(((group_of(entry, group), role) for entry, role in zip(found.entries, roles)), group)
        self.split_note += f"; {found.note}" if found.note else ""
        entries = choose(found.entries, roles, split)
        if not entries:
            how = "choose another split" if group is None else "write a --data.group that tells more groups apart"
            raise NoSplitError(f"{root}: has no images of {split} ({self.split_note}); {how}")
        self.relatives = [entry.image for entry in found.entries]
        super().__init__(entries, found.classes, found.palette)


class Images:
    """The images below a folder, found by what annotations call them.

    Tools write a name, a path below some folder, or a path of the machine that annotated; the longest end of it that
    fits one image is that image.
    """

    def __init__(self, root: Path):
        self.root = root
        self._by_name: dict[str, list[Path]] = {}
        for image in find_images(root):
            self._by_name.setdefault(image.name, []).append(image)

    def find(self, called: str, source: Path) -> Path:
        """The image that an annotation file, `source`, calls so. Raises UserError if there is none, or two fit."""
        parts = called.replace("\\", "/").split("/")
        fitting = self._by_name.get(parts[-1], [])
        best = max((common(image.parts, parts) for image in fitting), default=0)
        fitting = [image for image in fitting if common(image.parts, parts) == best]
        if len(fitting) != 1:
            several = f"fits {fitting[0]} and {fitting[1]}; remove one" if fitting else f"is not below {self.root}"
            remedy = "" if fitting else "; put the images there, or export again with images"
            raise UserError(f"{source}: its image {called} {several}{remedy}")
        return fitting[0]

    def __contains__(self, name: str) -> bool:
        """Whether an image has this name, in whatever folder."""
        return name in self._by_name

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def id(self, image: Path) -> str:
        """The path below the folder, without extension."""
        return image.relative_to(self.root).with_suffix("").as_posix()


def common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts two paths have in common at their ends."""
    count = 0
    for one, other in zip(reversed(first), reversed(second)):
        if one != other:
            break
        count += 1
    return count


def numbered(names: Sequence[str], source: Path) -> Mapping[str, int]:
    """The label of each class. Raises UserError for a name that occurs twice, or more classes than labels."""
    if len(set(names)) < len(names) or not 0 < len(names) < 256:
        raise UserError(f"{source}: names {len(names)} classes, {len(set(names))} of them different; correct its list")
    return {name: label for label, name in enumerate(names)}


def once(entries: Sequence[Entry]) -> None:
    """Raises UserError if two annotations are of one image, or two images differ in nothing but their extension."""
    seen: dict[str, Entry] = {}
    for entry in entries:
        if (other := seen.setdefault(entry.id, entry)) is entry:
            continue
        where = "it" if other.mask == entry.mask else str(other.mask)
        if other.image != entry.image:
            raise UserError(
                f"{entry.mask}: annotates {entry.image}, and {where} annotates {other.image}, which differs only in "
                "its extension; rename one of the images"
            )
        twice = f"lists {entry.image} twice" if where == "it" else f"annotates {entry.image}, as {where} does"
        raise UserError(f"{entry.mask}: {twice}; remove one of the two")
