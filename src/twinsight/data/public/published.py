"""What public data sets have in common: where their folders lie, which mask belongs to an image, what numbers mean."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from twinsight.data.exports.survey import Survey
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.search import find_images
from twinsight.data.wording import number
from twinsight.errors import UserError


class Published(Dataset):
    """A public data set whose masks hold numbers of its own.

    title: its name. patterns: of the files by which a folder is recognized (`Path.match`).
    numbers: the number of each class in the masks, in the order of the classes. void: further numbers, which count
    nowhere, as 255 does. colors: (classes, 3), the official palette, or None.
    """

    title: str
    patterns: ClassVar[Sequence[str]]
    remedy = "unpack the archives of the data set again"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any(Path(file).match(pattern) for file in survey.files for pattern in cls.patterns)

    def __init__(
        self,
        entries: Sequence[Entry],
        classes: Sequence[str],
        numbers: Sequence[int],
        void: Iterable[int] = (0,),
        colors: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__(entries, classes, None if colors is None else np.array(colors, np.uint8))
        self.label_of = np.full(256, -1, np.int16)
        self.label_of[[*void, VOID]] = VOID
        self.label_of[[*numbers]] = np.arange(len(classes))
        self.coding = (f"numbers {' '.join(map(str, numbers))}",)

    def decode_mask(self, entry: Entry) -> np.ndarray:
        stored = super().decode_mask(entry)
        labels = self.label_of[stored]
        if labels.min() < 0:
            raise UserError(f"{entry.mask}: holds {stored[labels < 0][0]}, no number of {self.title}; {self.remedy}")
        return labels.astype(np.uint8)


def existing(root: Path, title: str, *candidates: str) -> Path:
    """The first of these folders that is there. Raises UserError, naming the data set, if none is."""
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    raise UserError(f"{root}: holds no {title} ({root / candidates[0]} is missing); unpack its archives there")


def files(folder: Path, ending: str = "") -> dict[str, Path]:
    """The images below a folder by their path in it, without this ending: the extension and what stands before it."""
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in find_images(folder)}
    return {name.removesuffix(ending): path for name, path in found.items() if name.endswith(ending)}


def matched(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path) -> list[Entry]:
    """An entry for each image. Raises UserError for an image without mask, a mask without image, or none at all."""
    if not images:
        raise UserError(f"{where}: holds no images; unpack the archives of the data set again")
    alone = sorted(images.keys() ^ masks.keys())
    if alone:
        path, lacks = (images[alone[0]], "mask") if alone[0] in images else (masks[alone[0]], "image")
        raise UserError(
            f"{path}: has no {lacks} ({number(len(alone), 'file')} without); unpack the archives of the data set again"
        )
    return [Entry(name, image, masks[name]) for name, image in sorted(images.items())]


def no_split(title: str, split: str, known: Sequence[str]) -> UserError:
    return UserError(f"split {split}: {title} has none of this name; choose one of {', '.join(known)}")
