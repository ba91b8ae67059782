"""Counts the labels in the masks of a data set and finds what would make a training meaningless."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.folder import Folder
from twinsight.data.palettes import Palettes
from twinsight.data.samples import VOID, Dataset
from twinsight.data.values import words
from twinsight.data.wording import number


class Tally:
    """Counts over the masks of a split.

    total: number of masks in the split; `looked` of them were read.
    pixels, images: (256,) number of pixels with each label, and of images that contain it; 255 is void.
    void: masks that are all void. own: masks that are the image itself.
    """

    def __init__(self, dataset: Dataset, total: int):
        self.dataset, self.total, self.looked = dataset, total, 0
        self.pixels, self.images = np.zeros(256, np.int64), np.zeros(256, np.int64)
        self.first: dict[int, Path] = {}
        self.void: list[Path] = []
        self.own: list[Path] = []
        self.palettes = Palettes()

    def add(self, file: Path, pixels: np.ndarray, palette: np.ndarray | None, own: bool) -> None:
        """pixels: (256,) counts per label. palette: (N, 3) colors per stored value. own: the mask is the image file."""
        self.looked += 1
        self.pixels += pixels
        self.images += pixels > 0
        labels = np.flatnonzero(pixels).tolist()
        for label in labels:
            self.first.setdefault(label, file)
        if labels == [VOID]:
            self.void.append(file)
        if own:
            self.own.append(file)
        if palette is not None:
            self.palettes.add(file, palette, [self._stored(label) for label in labels if label != VOID])

    def _stored(self, label: int) -> int:
        values = self.dataset.values if isinstance(self.dataset, Folder) else None
        return label if values is None else values.values[label]

    @property
    def looked_at(self) -> str:
        if self.looked < self.total:
            return f"{self.looked} of {self.total} masks"
        return "the only mask" if self.total == 1 else f"all {number(self.total, 'mask')}"

    def unsound(self, split: str, alone: bool = True) -> list[str]:
        """A sentence for each reason why these masks cannot be learned from or scored on.

        alone: False if valid masks of another split are stored the same way.
        """
        classes, held = self.dataset.classes, np.flatnonzero(self.pixels).tolist()
        labels = [label for label in held if label < len(classes)]
        beyond = [label for label in held if len(classes) <= label < VOID]
        plain = isinstance(self.dataset, Folder) and self.dataset.values is None
        whole = f"as {self.looked_at} of {split}"
        found: list[str] = []
        if self.own:
            count = len(self.own)
            found.append(
                f"{self.own[0]}: is both image and mask ({count} of {number(self.looked, 'mask')}); give other masks"
            )
        if len(classes) == 1:
            found.append(f"--data: has only one class, {classes[0]}; name the background as a class too")
        elif beyond:
            found.append(
                f"{self.first[beyond[0]]}: holds {beyond[0]}, but the data set has {number(len(classes), 'class')} "
                f"(0 to {len(classes) - 1}, and {VOID} for void); the values in {self.looked_at} of {split}: "
                f"{words(held)}; {advice(held, len(classes)) if plain else 'correct the masks or the list of classes'}"
            )
        elif self.void and not labels:
            found.append(f"{self.void[0]}: is all void, {whole}; label some pixels, or correct --data.void")
        elif plain and alone and held == [0, VOID]:
            read = f" to read 255 as class 1 ({classes[1]})" if len(classes) == 2 else ""
            found.append(
                f"{self.first[VOID]}: holds only 0 and 255, {whole}, and 255 is void; give --data.values 0 255{read}, "
                "or --data.void 255 to ignore those pixels"
            )
        elif len(labels) == 1 and self.looked == self.total and split == "train":
            only = f"{labels[0]} ({classes[labels[0]]})"
            found.append(
                f"{self.first[labels[0]]}: holds only class {only}, {whole}; give masks with two classes or more"
            )
        return found

    def suspicious(self, split: str) -> list[str]:
        """A sentence for each likely mistake."""
        classes = self.dataset.classes
        labels = np.flatnonzero(self.pixels[: len(classes)])
        absent = [name for label, name in enumerate(classes) if not self.pixels[label]]
        found: list[str] = []
        if split == "train" and absent and self.looked:
            found.append(f"in {self.looked_at} of train there is no pixel of {listed(absent)}, which cannot be learned")
        elif len(labels) == 1:
            found.append(
                f"in {self.looked_at} of {split} there is only class {classes[labels[0]]}, so scores cover no other"
            )
        return found


def advice(values: Sequence[int], classes: int) -> str:
    """Which options would map these stored values to this number of classes."""
    counted = [value for value in values if value != VOID]
    for chosen in (values, counted):
        if len(chosen) == classes:
            return f"give --data.values {words(chosen)} if these are the classes, in order"
    if 0 in counted and len(counted) == classes + 1:
        return f"give --data.void {words([value for value in values if value in (0, VOID)])} if 0 is not a class"
    return "name all classes, or give each class's value with --data.values and the values to ignore with --data.void"


def listed(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
