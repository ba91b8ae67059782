"""The facts of a split, gathered sample by sample."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twinsight.data.checkup.examine import Facts, examine
from twinsight.data.checkup.mask_facts import MaskFacts
from twinsight.data.samples import Dataset, Entry
from twinsight.data.tally import Tally
from twinsight.data.workers import choose_workers, start_worker
from twinsight.errors import UserError

MANY = 1000
"""Samples for which processes are worth their start: they read twice as fast as threads, which wait for one another."""
CHUNK = 16
"""Samples that a process is given at once."""

Found = tuple[Facts, MaskFacts | None] | UserError


class Region(NamedTuple):
    """A region of so many pixels, and the mask that it is in."""

    area: int
    file: Path


class Collection:
    """kept: of each sample that can be read. broken: the others, and why they cannot be.

    scores: (9, 9) the sum of all `Agreement.scores`. smallest, largest: a region of each label.
    """

    def __init__(self, dataset: Dataset, split: str):
        self.dataset, self.split = dataset, split
        self.tally = Tally(dataset, len(dataset))
        self.kept: list[Facts] = []
        self.broken: list[tuple[Entry, str]] = []
        self.smallest: dict[int, Region] = {}
        self.largest: dict[int, Region] = {}
        self.scores, self.pixel = np.zeros((1, 1)), 1.0

    def add(self, facts: Facts, mask: MaskFacts | None) -> None:
        self.kept.append(facts)
        if mask is None:
            return
        self.tally.add(facts.example, mask.pixels, mask.palette, mask.own)
        for label in mask.labels:
            small, large = (Region(int(areas[label]), facts.example) for areas in (mask.smallest, mask.largest))
            self.smallest[label] = min(self.smallest.get(label, small), small, key=lambda region: region.area)
            self.largest[label] = max(self.largest.get(label, large), large, key=lambda region: region.area)
        if mask.agreement is not None:
            self.scores, self.pixel = self.scores + mask.agreement.scores, mask.agreement.pixel

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


def collect(
    dataset: Dataset, split: str, places: Sequence[int] | None = None, report: Callable[[int, int], None] | None = None
) -> Collection:
    """Read all samples, or those at `places`.

    report: called after each sample with how many are read and how many there are to read.
    """
    chosen = range(len(dataset)) if places is None else places
    collection = Collection(dataset, split)
    with readers(dataset, len(chosen)) as read:
        for done, (place, facts) in enumerate(zip(chosen, read(chosen)), start=1):
            if isinstance(facts, UserError):
                collection.broken.append((dataset.entries[place], str(facts)))
            else:
                collection.add(*facts)
            if report:
                report(done, len(chosen))
    return collection


@contextmanager
def readers(dataset: Dataset, count: int) -> Generator[Callable[[Iterable[int]], Iterator[Found]]]:
    """What examines samples, in their order: processes for many of them, threads for few.

    A class of one's own is read on threads, since another process may not find it.
    """
    pool: Executor
    before = cv2.getNumThreads()
    if count < MANY or not type(dataset).__module__.startswith("twinsight."):
        cv2.setNumThreads(1)  # for each of our own threads
        pool = ThreadPoolExecutor()
        read = partial(pool.map, partial(examine, dataset))
    else:
        pool = ProcessPoolExecutor(choose_workers(gpu=True), get_context("spawn"), begin, (dataset,))
        read = partial(pool.map, examine_there, chunksize=CHUNK)
    try:
        yield read
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)


def begin(dataset: Dataset) -> None:
    """In each process, before its first sample."""
    start_worker(0)
    THERE.append(dataset)


THERE: list[Dataset] = []
"""The data set of a process that examines it."""


def examine_there(index: int) -> Found:
    return examine(THERE[0], index)
