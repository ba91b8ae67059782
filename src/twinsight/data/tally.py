"""What the masks of a data set hold, counted, and what in it makes a training mean nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.folder import Folder
from twinsight.data.palettes import Palettes
from twinsight.data.samples import VOID, Dataset
from twinsight.data.values import words


class Tally:
    """Counts over masks of a split.

    total: how many there are, not all of which need be looked at.
    pixels, images: (256,) how many pixels have each label, and how many images hold it; 255 is void.
    void: masks without a pixel that counts. own: masks that are their images.
    """

    def __init__(self, dataset: Dataset, total: int):
        self.dataset, self.total, self.looked = dataset, total, 0
        self.pixels, self.images = np.zeros(256, np.int64), np.zeros(256, np.int64)
        self.first: dict[int, Path] = {}
        self.void: list[Path] = []
        self.own: list[Path] = []
        self.palettes = Palettes()

    def add(self, file: Path, pixels: np.ndarray, palette: np.ndarray | None, own: bool) -> None:
        """A mask's (256,) pixels by label, and its colors by stored value."""
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
        return f"all {self.total} masks" if self.looked == self.total else f"{self.looked} of {self.total} masks"

    def unsound(self, split: str, alone: bool = True) -> list[str]:
        """A sentence for each reason that nothing can be learned from these masks, or measured on them.

        alone: False where masks of another split, sound, are stored alike.
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
                f"{self.own[0]}: is an image and its own mask, as {count} of {self.looked} are; give other masks"
            )
        if len(classes) == 1:
            found.append(f"--data: has one class, {classes[0]}, and nothing to tell it from; name the background too")
        elif beyond:
            found.append(
                f"{self.first[beyond[0]]}: holds {beyond[0]}, but the data set has {len(classes)} classes (0 to "
                f"{len(classes) - 1}, and {VOID} for void), and {self.looked_at} of {split} hold {words(held)}; "
                f"{advice(held, len(classes)) if plain else 'correct the masks or the list of classes'}"
            )
        elif not labels:
            found.append(f"{self.void[0]}: is void throughout, {whole}; give masks in which some pixels count")
        elif plain and alone and held == [0, VOID]:
            read = f" to read 255 as class 1 ({classes[1]})" if len(classes) == 2 else ""
            found.append(
                f"{self.first[VOID]}: holds 0 and 255 alone, {whole}, and 255 is void; give --data.values 0 255{read}, "
                "or --data.void 255 if nothing is to be learned there"
            )
        elif len(labels) == 1 and self.looked == self.total and split == "train":
            only = f"{labels[0]} ({classes[labels[0]]})"
            found.append(
                f"{self.first[labels[0]]}: holds no class but {only}, {whole}; give masks of two classes or more"
            )
        return found

    def suspicious(self, split: str) -> list[str]:
        """A sentence for each thing that is likely a mistake."""
        classes = self.dataset.classes
        labels = np.flatnonzero(self.pixels[: len(classes)])
        absent = [name for label, name in enumerate(classes) if not self.pixels[label]]
        found: list[str] = []
        if split == "train" and absent:
            found.append(f"{self.looked_at} of train hold no pixel of {listed(absent)}: it cannot be learned")
        elif len(labels) == 1:
            found.append(
                f"{self.looked_at} of {split} hold no class but {classes[labels[0]]}: scores are of that alone"
            )
        return found


def advice(values: Sequence[int], classes: int) -> str:
    """Which options would read these stored values as so many classes."""
    counted = [value for value in values if value != VOID]
    for chosen in (values, counted):
        if len(chosen) == classes:
            return f"give --data.values {words(chosen)} if these are the classes, in their order"
    if 0 in counted and len(counted) == classes + 1:
        return f"give --data.void {words([value for value in values if value in (0, VOID)])} if 0 is no class"
    return "name all classes, or say by --data.values which value each has and by --data.void what counts nowhere"


def listed(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
