"""Images that are in train and in val, exactly or nearly."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twinsight.data.checkup.collection import Collection, Kept
from twinsight.data.checkup.examine import FLAT
from twinsight.data.checkup.findings import Finding
from twinsight.data.checkup.likeness import closest, nearly_same
from twinsight.data.decode import decode_image
from twinsight.data.depth import evenly
from twinsight.data.wording import number
from twinsight.errors import UserError

LOOKED_AT = 400
"""Most pairs of pictures that may be nearly the same that are decoded to see whether they are."""

Pair = tuple[Kept, Kept]


def shared_findings(train: Collection, val: Collection) -> list[Finding]:
    """Of pictures in both splits; those of one color aside, which are findings of their own."""
    first, second = ([each for each in split.kept if each.deviation >= FLAT] for split in (train, val))
    known = {each.digest: each for each in first}
    with ThreadPoolExecutor() as pool:
        pairs = [(known[each.digest], each) for each in second if each.digest in known]
        same = [pair for pair, yes in zip(pairs, pool.map(equal, pairs)) if yes]
        equals = {id(each) for _, each in same}
        others = [each for each in second if id(each) not in equals]
        like = [
            (first[one], others[other])
            for one, other in closest([each.hash for each in first], [each.hash for each in others])
        ]
        looked = evenly(like, LOOKED_AT) if like else []
        near = [pair for pair, yes in zip(looked, pool.map(alike, looked)) if yes]
    about = len(near) if len(looked) == len(like) else round(len(near) / len(looked) * len(like))
    some = "" if about == len(near) else "about "
    found: list[Finding] = []
    for pairs, count, kind, what, advice in (
        (same, f"{len(same)}", "in both splits", "is in train too, as", "remove it from one"),
        (near, f"{some}{about}", "nearly in both splits", "is nearly the same as, in train,", ADVICE),
    ):
        if pairs:
            one, other = pairs[0]
            share = f"{count} of {number(val.total, 'image')} of val"
            text = f"{other.entry.image}: {what} {one.entry.image} ({share}); {advice}"
            weight = "unsound" if pairs is same else "check"
            entries = [each.entry for pair in pairs for each in reversed(pair)]
            found.append(Finding(kind, weight, text, len(same) if pairs is same else about, entries))
    return found


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
