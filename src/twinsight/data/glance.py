"""A quick look at data before a training: it stops what cannot mean anything and remarks what is likely a mistake."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from twinsight.data.check import unreadable
from twinsight.data.checkup.collection import collect
from twinsight.data.checkup.findings import Finding, header_findings, image_findings
from twinsight.data.checkup.mask_facts import is_own_mask
from twinsight.data.checkup.mask_findings import mask_findings
from twinsight.data.decode import image_size
from twinsight.data.depth import evenly
from twinsight.data.label_images import in_mask_folder
from twinsight.data.overlap import Overlap, overlap
from twinsight.data.palettes import read_palette
from twinsight.data.samples import Dataset, Entry
from twinsight.data.shapes import Shapes
from twinsight.data.tally import Tally
from twinsight.data.tolerated import limit, too_many
from twinsight.data.wording import number
from twinsight.errors import Remark, UserError

MASKS, SAMPLES = 200, 200
"""Most masks of a split whose labels are counted, and most samples that are examined, evenly chosen."""
PIXELS = 64e6
"""Most pixels of either, by the size of the first: about a second of reading."""


def glance(train: Dataset | None, val: Dataset | None = None) -> None:
    """Masks and splits of a training with masks; of one split alone, for a measurement of it.

    Remarks what is suspicious; raises UserError for what makes a training mean nothing.
    """
    splits = {name: data for name, data in (("train", train), ("val", val)) if data and not isinstance(data, Shapes)}
    for name, dataset in splits.items():
        tally = look_at_masks(dataset)
        for sentence in tally.unsound(name, alone=len(splits) == 1 or name == "train"):
            raise UserError(sentence)
        remark(tally.suspicious(name))
        if tally.palettes.conflict:
            remark([f"{tally.palettes.conflict}; make all masks of {name} with one palette"])
        weigh(look_closely(dataset, name), dataset)
    if len(splits) == 2:
        remark(compare(splits["train"].entries, splits["val"].entries))


def glance_at_images(dataset: Dataset) -> None:
    """Remarks what is suspicious, such as label images among photographs; raises UserError for what is meaningless."""
    if isinstance(dataset, Shapes):
        return
    below = [entry for entry in dataset.entries if in_mask_folder(entry.id)]
    if below:
        share = f"{len(below)} of {number(len(dataset), 'image')}"
        remark([f"{below[0].image}: lies in a folder of masks by its name ({share}); {LEAVE}"])
        return
    weigh(look_closely(dataset, "train"), dataset)


LEAVE = "if they are masks, move them out of --data.root"


def look_at_masks(dataset: Dataset) -> Tally:
    """Counts over the masks of a split, or over as many of them, evenly chosen, as take about a second."""
    tally = Tally(dataset, len(dataset))
    entries = evenly(dataset.entries, affordable(dataset.entries, MASKS))
    with ThreadPoolExecutor() as pool:
        for entry, pixels in zip(entries, pool.map(partial(count, dataset), entries)):
            if entry.mask is not None and pixels is not None:
                tally.add(entry.mask, pixels, read_palette(entry.mask), is_own_mask(entry))
    return tally


def affordable(entries: Sequence[Entry], most: int) -> int:
    """How many of these images hold 64 megapixels, by the size of the first, but 8 at least."""
    try:
        height, width = image_size(entries[0].image)
    except UserError:
        return min(most, 8)  # enough to name it, as it is one of them
    return min(most, max(8, int(PIXELS / (height * width))))


def look_closely(dataset: Dataset, split: str) -> list[Finding]:
    """The findings of `data check`, of a sample; without what is said of all masks, which is counted on more."""
    places = evenly(range(len(dataset)), affordable(dataset.entries, SAMPLES))
    facts = collect(dataset, split, places)
    found = [*unreadable(facts), *image_findings(facts), *mask_findings(facts), *header_findings(facts)]
    return [finding for finding in found if finding.kind != "absent class"]


def weigh(found: Sequence[Finding], dataset: Dataset) -> None:
    """Raises UserError for what is unsound, and remarks what is to be checked."""
    for finding in found:
        if finding.weight == "unsound":
            allowed = limit(len(dataset), dataset.tolerate)
            looked_at = min(len(dataset), affordable(dataset.entries, SAMPLES))
            broken = [too_many(UserError(sentence), finding.count, allowed, looked_at) for sentence in finding.more[:1]]
            raise broken[0] if broken else UserError(finding.text)
    remark([finding.text for finding in found if finding.weight == "check"])


def count(dataset: Dataset, entry: Entry) -> np.ndarray | None:
    """(256,) pixels of each label, also of those that are not a class; None for a mask that cannot be read."""
    try:
        labels = np.zeros(0, np.uint8) if entry.mask is None else dataset.decode_mask(entry)
    except UserError:
        return None
    return np.bincount(labels.ravel(), minlength=256)


def compare(train: Sequence[Entry], val: Sequence[Entry]) -> list[str]:
    """A sentence for each way in which val is not apart from train. Raises UserError if they are the same images."""
    found = overlap(train, val)
    if found.identical:
        raise UserError(
            f"{found.same[0][1]}: is in train and in val, as is every image of both; choose another --data.val, "
            "since scores on what was trained on say nothing"
        )
    return sentences(found)


def sentences(found: Overlap) -> list[str]:
    said: list[str] = []
    for pairs, what in (
        (found.same, "is in train too, as"),
        (found.alike, "shows what the image of the same name in train shows,"),
        (found.namesakes, "has the name of another image in train,"),
    ):
        if pairs:
            said.append(f"{pairs[0][1]}: {what} {pairs[0][0]} ({len(pairs)} of {number(found.val, 'image')} of val)")
    return said


def remark(said: Sequence[str]) -> None:
    for sentence in said:
        warnings.warn(f"warning: {sentence}", Remark, stacklevel=3)
