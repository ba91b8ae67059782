"""Whether a data set is sound: every sample read, every class counted, every broken file named."""

from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from twinsight.data.glance import is_own_mask
from twinsight.data.palettes import read_palette
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.tally import Tally
from twinsight.errors import UserError


@dataclass(frozen=True)
class Verdict:
    """What reading every sample of a data set brought.

    broken: a sentence for each sample that cannot be read and each id that more than one sample has.
    sizes: (N, 2) height and width in pixels of each sound image.
    pixels: (256,) how many pixels have each label; 255 is void.
    images: (256,) how many images hold each label.
    same: the images that are equal pixel for pixel, by what their pixels come to.
    unsound: a sentence for each reason that masks, though they can be read, mean nothing.
    """

    classes: tuple[str, ...]
    broken: list[str]
    sizes: np.ndarray
    pixels: np.ndarray
    images: np.ndarray
    same: dict[bytes, list[Entry]]
    unsound: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.broken and not self.unsound

    @property
    def twins(self) -> list[list[str]]:
        """The ids of each group of images that are equal pixel for pixel."""
        return [[entry.id for entry in entries] for entries in self.same.values() if len(entries) > 1]

    @property
    def absent(self) -> list[str]:
        """The classes without a pixel."""
        return [name for name, pixels in zip(self.classes, self.pixels) if not pixels]


class Sound(NamedTuple):
    size: tuple[int, int]
    digest: bytes
    pixels: np.ndarray


def check(dataset: Dataset, report: Callable[[int, int], None] | None = None, split: str = "train") -> Verdict:
    """Read every sample, on threads, since decoders release Python's lock.

    split: "train", or "val", which need not hold every class.
    report: called after each sample with how many are read and how many there are.
    """
    ids = Counter(entry.id for entry in dataset.entries)
    broken = [f"{id}: is the id of {count} samples; rename them" for id, count in ids.items() if count > 1]
    sizes: list[tuple[int, int]] = []
    same: dict[bytes, list[Entry]] = defaultdict(list)
    tally = Tally(dataset, len(dataset))
    with ThreadPoolExecutor() as pool:
        results = pool.map(partial(examine, dataset), range(len(dataset)))
        for done, (entry, result) in enumerate(zip(dataset.entries, results), start=1):
            if isinstance(result, UserError):
                broken.append(str(result))
            else:
                sizes.append(result.size)
                same[result.digest].append(entry)
                if entry.mask is not None:
                    tally.add(entry.mask, result.pixels, read_palette(entry.mask), is_own_mask(entry))
                elif result.pixels.any():  # drawn as it is read, so there is a mask but no file of it
                    tally.add(entry.image, result.pixels, None, own=False)
            if report:
                report(done, len(dataset))
    unsound = tally.unsound(split, alone=split == "train") if tally.looked and dataset.classes else []
    if tally.palettes.conflict:
        unsound.append(f"{tally.palettes.conflict}; make all masks with one palette")
    shape = np.array(sizes).reshape(-1, 2)
    return Verdict(dataset.classes, broken, shape, tally.pixels, tally.images, same, unsound)


def equal_pictures(train: Verdict, val: Verdict) -> list[tuple[Path, Path]]:
    """Of each image of val that is equal pixel for pixel to one of train, that one and itself."""
    both = [key for key in val.same if key in train.same]
    return [(train.same[key][0].image, entry.image) for key in both for entry in val.same[key]]


def examine(dataset: Dataset, index: int) -> Sound | UserError:
    try:
        image, mask, _ = dataset[index]
    except UserError as error:
        return error
    digest = blake2b(image.tobytes(), digest_size=16, key=str(image.shape).encode()).digest()
    pixels = np.zeros(256, np.int64) if mask is None else np.bincount(mask.ravel(), minlength=256)
    return Sound((image.shape[0], image.shape[1]), digest, pixels)


def render(verdict: Verdict) -> Group:
    """The verdict as rich prints it: a table of classes, sizes, what is wrong, and one line to end with."""
    lines: list[str] = []
    if len(verdict.sizes):
        for side, lengths in zip(("height", "width"), verdict.sizes.T):
            low, middle, high = np.percentile(lengths, (0, 50, 100))
            lines.append(f"{side}: {low:.0f} to {high:.0f} pixels, median {middle:.0f}")
    if verdict.absent:
        lines.append(f"[yellow]without a pixel[/]: {escape(', '.join(verdict.absent))}")
    lines += [f"[yellow]the same image[/]: {escape(', '.join(ids))}" for ids in verdict.twins]
    lines += [f"[red]broken[/]: {escape(sentence)}" for sentence in verdict.broken]
    lines += [f"[red]unsound[/]: {escape(sentence)}" for sentence in verdict.unsound]
    judgment = f"[red]{len(verdict.broken)} broken[/]" if verdict.broken else "[red]unsound[/]"
    judgment = "[green]sound[/]" if verdict.ok else judgment
    lines.append(f"{judgment}: {len(verdict.sizes)} samples read")
    return Group(*([classes_table(verdict)] if verdict.classes else []), *lines)


def classes_table(verdict: Verdict) -> Table:
    table = Table("label", "class", "pixels", "share", "images")
    total = max(verdict.pixels.sum(), 1)
    for label, name in [*enumerate(verdict.classes), (VOID, "void")]:
        pixels = verdict.pixels[label]
        row = (label, escape(name), f"{pixels:,}", f"{pixels / total:.2%}", verdict.images[label])
        table.add_row(*map(str, row))
    return table
