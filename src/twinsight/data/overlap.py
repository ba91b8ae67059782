"""Finds images that are in both train and val."""

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from twinsight.data.decode import decode_image
from twinsight.data.depth import evenly
from twinsight.data.samples import Entry
from twinsight.data.splits import role

FILES = 5000
"""Files per split whose sizes are compared."""
READ = 400
"""Files of train that are compared byte by byte with files of val of the same size."""
PICTURES = 16
"""Images with the same name whose pixels are compared."""


@dataclass(frozen=True)
class Overlap:
    """Pairs of (train file, val file).

    same: equal files, or the same file. alike: the same name and picture, but stored differently.
    namesakes: the same name, but a different picture or not compared.
    """

    train: int
    val: int
    same: list[tuple[Path, Path]]
    alike: list[tuple[Path, Path]]
    namesakes: list[tuple[Path, Path]]

    @property
    def identical(self) -> bool:
        return len(self.same) == self.val == self.train


def overlap(train: Sequence[Entry], val: Sequence[Entry]) -> Overlap:
    """A quick check: sizes before contents, pictures only for equal names; large splits are sampled evenly."""
    same = equal_files(train, val)
    names = {name_of(entry): entry.image for entry in train}
    known = {image for _, image in same}
    named = [
        (names[name_of(entry)], entry.image) for entry in val if name_of(entry) in names and entry.image not in known
    ]
    looked = evenly(named, PICTURES)
    alike = [pair for pair in looked if same_picture(*pair)]
    return Overlap(len(train), len(val), same, alike, [pair for pair in named if pair not in alike])


def name_of(entry: Entry) -> str:
    """The id without the split's folder and the extension."""
    name = entry.id.partition("/")[2] if role(entry.id) else entry.id
    return str(Path(name).with_suffix(""))


def equal_files(train: Sequence[Entry], val: Sequence[Entry]) -> list[tuple[Path, Path]]:
    paths = {entry.image for entry in train}
    found = [(entry.image, entry.image) for entry in val if entry.image in paths]
    if found:
        return found
    sizes: dict[int, list[Path]] = {}
    for entry in evenly(val, FILES):
        sizes.setdefault(size(entry.image), []).append(entry.image)
    read = [entry.image for entry in evenly(train, FILES) if size(entry.image) in sizes]
    pairs: dict[Path, Path] = {}
    for file in evenly(read, READ):
        for other in sizes[size(file)]:
            if other not in pairs and filecmp.cmp(file, other, shallow=False):
                pairs[other] = file
                break
    return [(file, other) for other, file in pairs.items()]


def size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1


def same_picture(first: Path, second: Path) -> bool:
    """Whether two images look the same when reduced to 8 x 8 pixels."""
    small = [thumbnail(decode_image(file)) for file in (first, second)]
    return bool(np.abs(small[0] - small[1]).mean() <= 5)


def thumbnail(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
