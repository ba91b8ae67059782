"""The facts of a split, gathered sample by sample."""

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from math import nan
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twinsight.data.checkup.examine import Facts, examine
from twinsight.data.checkup.header import Header
from twinsight.data.checkup.mask_facts import MaskFacts
from twinsight.data.samples import Dataset, Entry
from twinsight.data.tally import Tally
from twinsight.errors import UserError


class Region(NamedTuple):
    """A region of so many pixels, and the mask that it is in."""

    area: int
    file: Path


class Kept(NamedTuple):
    """What is kept of each sample that can be read; the first six are those of `Facts`.

    labels: those that its mask holds; empty without a mask. void: the fraction of the mask that is void.
    mask_digest: equal for equal masks. here: of `Agreement`; NaN where that says nothing.
    """

    entry: Entry
    size: tuple[int, int]
    header: Header | None
    deviation: float
    digest: bytes
    hash: int
    few_colors: bool
    labels: tuple[int, ...] = ()
    void: float = 0.0
    mask_digest: int = 0
    here: float = nan

    @property
    def example(self) -> Path:
        return self.entry.mask or self.entry.image


class Collection:
    """kept: of each sample that can be read. broken: the others, and why they cannot be.

    scores: (9, 9) the sum of all `Agreement.scores`. smallest, largest: a region of each label.
    """

    def __init__(self, dataset: Dataset, split: str):
        self.dataset, self.split = dataset, split
        self.tally = Tally(dataset, len(dataset))
        self.kept: list[Kept] = []
        self.broken: list[tuple[Entry, str]] = []
        self.smallest: dict[int, Region] = {}
        self.largest: dict[int, Region] = {}
        self.scores, self.pixel = np.zeros((1, 1)), 1.0

    def add(self, entry: Entry, facts: Facts | UserError) -> None:
        if isinstance(facts, UserError):
            self.broken.append((entry, str(facts)))
            return
        kept = Kept(entry, *facts[:6])
        self.kept.append(kept if facts.mask is None else self._add_mask(kept, facts.mask))

    def _add_mask(self, kept: Kept, mask: MaskFacts) -> Kept:
        self.tally.add(kept.example, mask.pixels, mask.palette, mask.own)
        for label in mask.labels:
            small, large = (Region(int(areas[label]), kept.example) for areas in (mask.smallest, mask.largest))
            self.smallest[label] = min(self.smallest.get(label, small), small, key=lambda region: region.area)
            self.largest[label] = max(self.largest.get(label, large), large, key=lambda region: region.area)
        kept = kept._replace(labels=mask.labels, void=mask.void, mask_digest=mask.digest)
        if mask.agreement is None:
            return kept
        self.scores, self.pixel = self.scores + mask.agreement.scores, mask.agreement.pixel
        return kept._replace(here=mask.agreement.here)

    @property
    def total(self) -> int:
        """How many samples were read or could not be."""
        return len(self.kept) + len(self.broken)

    @property
    def part(self) -> str:
        """What to add to a number of samples where not all were read."""
        return " that were looked at" if self.total < len(self.dataset) else ""

    def kinds(self) -> Counter[str]:
        """How many images have each kind of pixels."""
        return Counter(each.header.kind for each in self.kept if each.header)

    def equal(self) -> list[list[Kept]]:
        """Groups of samples whose pictures are equal."""
        groups: dict[bytes, list[Kept]] = defaultdict(list)
        for each in self.kept:
            groups[each.digest].append(each)
        return [group for group in groups.values() if len(group) > 1]


def collect(
    dataset: Dataset, split: str, places: Sequence[int] | None = None, report: Callable[[int, int], None] | None = None
) -> Collection:
    """Read all samples, or those at `places`, on threads, since decoders release Python's lock.

    report: called after each sample with how many are read and how many there are to read.
    """
    chosen = range(len(dataset)) if places is None else places
    collection = Collection(dataset, split)
    with single_threaded(), ThreadPoolExecutor() as pool:
        for done, (place, facts) in enumerate(zip(chosen, pool.map(partial(examine, dataset), chosen)), start=1):
            collection.add(dataset.entries[place], facts)
            if report:
                report(done, len(chosen))
    return collection


@contextmanager
def single_threaded() -> Generator[None]:
    """OpenCV with one thread for each of ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
