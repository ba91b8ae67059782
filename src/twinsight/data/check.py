"""Whether a data set is sound: every sample read, every class counted, every broken file named."""

from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from twinsight.data.samples import VOID, Dataset
from twinsight.errors import UserError


@dataclass(frozen=True)
class Verdict:
    """What reading every sample of a data set brought.

    broken: a sentence for each sample that cannot be read and each id that more than one sample has.
    sizes: (N, 2) height and width in pixels of each sound image.
    pixels: (256,) how many pixels have each label; 255 is void.
    images: (256,) how many images hold each label.
    twins: the ids of each group of images that are equal pixel for pixel.
    """

    classes: tuple[str, ...]
    broken: list[str]
    sizes: np.ndarray
    pixels: np.ndarray
    images: np.ndarray
    twins: list[list[str]]

    @property
    def ok(self) -> bool:
        return not self.broken

    @property
    def absent(self) -> list[str]:
        """The classes without a pixel."""
        return [name for name, pixels in zip(self.classes, self.pixels) if not pixels]


class Sound(NamedTuple):
    size: tuple[int, int]
    digest: bytes
    pixels: np.ndarray


def check(dataset: Dataset, report: Callable[[int, int], None] | None = None) -> Verdict:
    """Read every sample, on threads, since decoders release Python's lock.

    report: called after each sample with how many are read and how many there are.
    """
    ids = Counter(entry.id for entry in dataset.entries)
    broken = [f"{id}: is the id of {count} samples; rename them" for id, count in ids.items() if count > 1]
    sizes, same = [], defaultdict(list)
    pixels, images = np.zeros(256, np.int64), np.zeros(256, np.int64)
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda index: examine(dataset, index), range(len(dataset)))
        for done, (entry, result) in enumerate(zip(dataset.entries, results), start=1):
            if isinstance(result, UserError):
                broken.append(str(result))
            else:
                sizes.append(result.size)
                same[result.digest].append(entry.id)
                pixels += result.pixels
                images += result.pixels > 0
            if report:
                report(done, len(dataset))
    twins = [ids for ids in same.values() if len(ids) > 1]
    return Verdict(dataset.classes, broken, np.array(sizes).reshape(-1, 2), pixels, images, twins)


def examine(dataset: Dataset, index: int) -> Sound | UserError:
    try:
        image, mask, _ = dataset[index]
    except UserError as error:
        return error
    digest = blake2b(image.tobytes(), digest_size=16, key=str(image.shape).encode()).digest()
    pixels = np.zeros(256, np.int64) if mask is None else np.bincount(mask.ravel(), minlength=256)
    return Sound(image.shape[:2], digest, pixels)


def render(verdict: Verdict) -> Group:
    """The verdict as rich prints it: a table of classes, sizes, what is wrong, and one line to end with."""
    lines = []
    if len(verdict.sizes):
        for side, lengths in zip(("height", "width"), verdict.sizes.T):
            low, middle, high = np.percentile(lengths, (0, 50, 100))
            lines.append(f"{side}: {low:.0f} to {high:.0f} pixels, median {middle:.0f}")
    if verdict.absent:
        lines.append(f"[yellow]without a pixel[/]: {escape(', '.join(verdict.absent))}")
    lines += [f"[yellow]the same image[/]: {escape(', '.join(ids))}" for ids in verdict.twins]
    lines += [f"[red]broken[/]: {escape(sentence)}" for sentence in verdict.broken]
    judgment = "[green]sound[/]" if verdict.ok else f"[red]{len(verdict.broken)} broken[/]"
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
