"""Whether a data set is sound: every sample read, every class counted, and what is wrong named with what to do."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twinsight.data.checkup.collection import Collection, collect
from twinsight.data.checkup.findings import WEIGHTS, Finding, header_findings, image_findings
from twinsight.data.checkup.mask_findings import mask_findings
from twinsight.data.checkup.shared import near_copies
from twinsight.data.samples import Dataset
from twinsight.data.tolerated import limit
from twinsight.data.wording import number

VERDICTS = {
    "sound": "train on it",
    "usable": "it can be trained on; look at the findings first",
    "unsound": "correct it before you train",
}
"""What each verdict advises."""


@dataclass(frozen=True)
class Checkup:
    """What reading every sample of a split brought: facts, and findings, the gravest first."""

    facts: Collection
    findings: list[Finding]

    @property
    def verdict(self) -> str:
        return verdict(self.findings)

    @property
    def sizes(self) -> np.ndarray:
        """(N, 2) height and width in pixels of each image that can be read."""
        return np.array([each.size for each in self.facts.kept], int).reshape(-1, 2)


def verdict(findings: Sequence[Finding]) -> str:
    """One of `VERDICTS`."""
    weights = {finding.weight for finding in findings}
    return "unsound" if "unsound" in weights else "usable" if "check" in weights else "sound"


def check(dataset: Dataset, report: Callable[[int, int], None] | None = None, split: str = "train") -> Checkup:
    """Read every sample, once.

    split: "train", or "val", which need not hold every class.
    report: called after each sample with how many are read and how many there are.
    """
    return judge(collect(dataset, split, report=report))


def judge(facts: Collection) -> Checkup:
    found = [*unreadable(facts), *meaningless(facts), *image_findings(facts), *mask_findings(facts)]
    found += [*near_copies(facts), *header_findings(facts)]
    return Checkup(facts, sorted(found, key=lambda finding: WEIGHTS.index(finding.weight)))


def unreadable(facts: Collection) -> Iterator[Finding]:
    """Samples that cannot be read, and names of several."""
    if facts.broken:
        entries, sentences = zip(*facts.broken)
        weight = "unsound" if len(entries) > limit(len(facts.dataset), facts.dataset.tolerate) else "check"
        text = (
            f"{len(entries)} of {number(facts.total, 'sample')} of {facts.split} cannot be read; repair or remove them"
        )
        yield Finding("broken", weight, text, len(entries), entries, sentences)
    ids = Counter(entry.id for entry in facts.dataset.entries)
    several = [entry for entry in facts.dataset.entries if ids[entry.id] > 1]
    if several:
        text = f"{several[0].id}: is the id of {ids[several[0].id]} samples; rename them"
        yield Finding("same id", "unsound", text, len(several), several)


def meaningless(facts: Collection) -> Iterator[Finding]:
    """Masks from which nothing can be learned."""
    tally, split = facts.tally, facts.split
    if tally.looked and facts.dataset.classes:
        for sentence in tally.unsound(split, alone=split == "train"):
            yield Finding("masks", "unsound", sentence, tally.looked)
    if tally.palettes.conflict:
        text = f"{tally.palettes.conflict}; make all masks with one palette"
        yield Finding("palettes", "unsound", text, 2)
