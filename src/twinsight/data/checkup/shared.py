"""Images that are in a split twice, or in train and in val, exactly or nearly."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from twinsight.data.checkup.collection import Collection
from twinsight.data.checkup.examine import FLAT, Facts
from twinsight.data.checkup.findings import Finding, copies
from twinsight.data.checkup.likeness import closest, nearly_same
from twinsight.data.decode import decode_image
from twinsight.data.depth import evenly
from twinsight.data.wording import number
from twinsight.errors import UserError

LOOKED_AT = 400
"""Most pairs of pictures that may be nearly the same that are decoded to see whether they are."""

Pair = tuple[Facts, Facts]


def shared_findings(train: Collection, val: Collection) -> list[Finding]:
    """Of pictures in both splits; those of one color aside, which are findings of their own."""
    first, second = ([each for each in split.kept if each.deviation >= FLAT] for split in (train, val))
    known = {each.digest: each for each in first}
    with ThreadPoolExecutor() as pool:
        pairs = [(known[each.digest], each) for each in second if each.digest in known]
        same = [pair for pair, yes in zip(pairs, pool.map(equal, pairs)) if yes]
        equals = {id(each) for _, each in same}
        others = [each for each in second if id(each) not in equals]
    hashes = [[each.hash for each in part] for part in (first, others)]
    near, about = nearly([(first[one], others[other]) for one, other in closest(*hashes)])
    found: list[Finding] = []
    for pairs, count, kind, what, advice in (
        (same, f"{len(same)}", "in both splits", "is in train too, as", "remove it from one"),
        (near, estimate(about, near), "nearly in both splits", "is nearly the same as, in train,", ADVICE),
    ):
        if pairs:
            one, other = pairs[0]
            share = f"{count} of {number(val.total, 'image')} of val"
            text = f"{other.entry.image}: {what} {one.entry.image} ({share}); {advice}"
            weight = "unsound" if pairs is same else "check"
            entries = [each.entry for pair in pairs for each in reversed(pair)]
            found.append(Finding(kind, weight, text, len(same) if pairs is same else about, entries))
    return found


def near_copies(of: Collection) -> Iterator[Finding]:
    """Groups of pictures of one split that are nearly the same, but not equal."""
    distinct = list({each.digest: each for each in reversed(of.kept) if each.deviation >= FLAT}.values())[::-1]
    places = closest([each.hash for each in distinct])
    pairs, count = nearly([(distinct[one], distinct[other]) for one, other in places])
    if pairs:
        yield copies("near copies", grouped(pairs), estimate(count, pairs), of, "is nearly the same as", THIN)


THIN = "thin them out if they are many, and keep them in one split (--data.group)"


def grouped(pairs: Sequence[Pair]) -> list[list[Facts]]:
    """Pairs that share a picture are one group, the largest first; pairs in the order of their second pictures."""
    groups: dict[Path, list[Facts]] = {}
    for one, other in pairs:
        groups[other.entry.image] = groups.setdefault(one.entry.image, [one])
        groups[other.entry.image].append(other)
    return sorted({id(group): group for group in groups.values()}.values(), key=len, reverse=True)


def nearly(like: Sequence[Pair]) -> tuple[list[Pair], int]:
    """Those pairs that are nearly the same by their pixels, of up to 400; and how many would be of all."""
    looked = evenly(like, LOOKED_AT) if like else []
    with ThreadPoolExecutor() as pool:
        near = [pair for pair, yes in zip(looked, pool.map(alike, looked)) if yes]
    return near, round(len(near) * len(like) / max(1, len(looked)))


def estimate(count: int, pairs: Sequence[Pair]) -> str:
    return f"{count}" if count == len(pairs) else f"about {count}"


ADVICE = "split by place, drive, patient or video, since scores on what was nearly trained on flatter"


def equal(pair: Pair) -> bool:
    """Whether the pictures are equal pixel for pixel, which those of equal digests but seldom are not."""
    first, second = (each.entry.image for each in pair)
    if first == second:
        return first.is_file()
    try:
        return np.array_equal(decode_image(first), decode_image(second))
    except UserError:  # drawn, or gone meanwhile
        return False


def alike(pair: Pair) -> bool:
    try:
        return nearly_same(*(each.entry.image for each in pair))
    except UserError:  # drawn, or gone meanwhile
        return False
