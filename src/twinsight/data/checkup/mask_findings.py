"""What a collection of facts says of masks."""

from collections.abc import Iterator, Sequence
from math import isnan

import numpy as np

from twinsight.data.checkup.agreement import best_shift
from twinsight.data.checkup.collection import Collection
from twinsight.data.checkup.examine import Facts
from twinsight.data.checkup.findings import Finding, about
from twinsight.data.samples import VOID
from twinsight.data.tally import listed

CHANCE, CLEAR = 1.0, 3.0
"""Agreement of a mask that fits no better than one that is shifted; and the median from which on single ones stand out.

Of CamVid's 468 masks the least agrees by 1.7, of `shapes` by 3.3.
"""
ENOUGH = 20
"""Masks from which on all of them are judged together."""
EMPTY = 0.1
"""From this fraction on, masks of the first class alone are usual, as in images without a defect."""
AT_CHANCE = "agrees with its image no better than by chance"
BORDERS = 0.01
"""A mask of one class and of more void than this is not one whose outlines are void."""


def mask_findings(of: Collection) -> Iterator[Finding]:
    """Of labels in single masks and over a split, and of where they lie."""
    masked = [each for each in of.kept if each.labels]
    labels = set(np.flatnonzero(of.tally.pixels).tolist()) - {VOID}
    if not masked or len(labels) < 2:
        return  # `Tally.unsound` has said so
    yield from absent(of)
    yield from single(masked, labels, of)
    yield from misplaced(masked, of)


def absent(of: Collection) -> Iterator[Finding]:
    names = [name for label, name in enumerate(of.dataset.classes) if not of.tally.pixels[label]]
    if names:
        meaning = "it cannot be learned" if of.split == "train" else "nothing is measured on it"
        text = f"no mask of {of.split} holds a pixel of {listed(names)}: {meaning}; add such images, or drop the class"
        yield Finding("absent class", "check", text, len(names))


def single(masked: Sequence[Facts], labels: set[int], of: Collection) -> Iterator[Finding]:
    """Masks of one class, of void alone, and of two values among those of more classes."""
    void = [each for each in masked if each.labels == (VOID,)]
    if void:
        yield about("void mask", "check", void, of, "is void throughout", "draw the mask, or remove the pair", True)
    binary = [each for each in masked if each.labels == (0, VOID) and each.void > BORDERS] if len(labels) > 2 else []
    if binary:
        what = "holds 0 and 255 alone, though others hold classes"
        advice = "is 255 an object there? draw it as its class, since 255 is void"
        yield about("0 and 255", "check", binary, of, what, advice, True)
    one = [each for each in masked if len({*each.labels} - {VOID}) == 1 and each not in binary]
    if one:
        usual = all(0 in each.labels for each in one) and len(one) >= EMPTY * len(masked)
        what, advice = "holds one class only", "see in data show whether it is finished"
        yield about("one class", "note" if usual else "check", one, of, what, advice, True)


def misplaced(masked: Sequence[Facts], of: Collection) -> Iterator[Finding]:
    """Masks whose borders lie on the edges of their images no better than by chance."""
    judged = [each for each in masked if not isnan(each.here)]
    if not judged:
        return
    usual = float(np.median([each.here for each in judged]))
    if usual >= CLEAR:
        off = sorted((each for each in judged if each.here < CHANCE), key=lambda each: each.here)
        if off:
            advice = "see in data show whether it is shifted, or that of another image"
            yield about("misplaced", "check", off, of, AT_CHANCE, advice, True)
    elif usual < CHANCE and len(judged) >= ENOUGH:
        shift = best_shift(of.scores, of.pixel)
        better = of.scores.max() / len(judged) >= CHANCE and shift != (0, 0)
        where = f" (best if moved by {moved(shift)})" if better else ""
        advice = "see in data show whether masks and images belong together"
        yield about("misplaced", "check", judged, of, f"{AT_CHANCE}{where}", advice, True)


def moved(shift: tuple[int, int]) -> str:
    return f"{shift[0]:+d}, {shift[1]:+d} pixels"
