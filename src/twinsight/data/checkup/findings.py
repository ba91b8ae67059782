"""What a collection of facts says: findings, each with how many, an example and what to do."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from twinsight.data.checkup.collection import Collection
from twinsight.data.checkup.examine import FLAT, Facts
from twinsight.data.samples import Entry
from twinsight.data.wording import number

Weight = Literal["unsound", "check", "note"]
WEIGHTS: tuple[Weight, ...] = ("unsound", "check", "note")


@dataclass(frozen=True)
class Finding:
    """kind: one word or two, the same for all findings of a kind. text: one sentence, without a full stop.

    weight: "unsound": training means nothing, or stops. "check": likely a mistake. "note": good to know.
    entries: the samples that it is about, the worst first; empty where it is about all.
    count: their number, or that of what else is counted. more: further sentences, one for each sample.
    """

    kind: str
    weight: Weight
    text: str
    count: int
    entries: Sequence[Entry] = ()
    more: Sequence[str] = ()


def about(
    kind: str, weight: Weight, found: Sequence[Facts], of: Collection, what: str, advice: str, masks: bool = False
) -> Finding:
    """A finding on samples; masks: whether it is their masks rather than their images."""
    example = found[0].example if masks else found[0].entry.image
    share = f"{len(found)} of {number(of.total, 'mask' if masks else 'image')} of {of.split}{of.part}"
    return Finding(kind, weight, f"{example}: {what} ({share}); {advice}", len(found), [each.entry for each in found])


TINY = 32
"""Pixels of the shorter side below which an image is tiny, as is one below an eighth of the median."""


def image_findings(of: Collection) -> Iterator[Finding]:
    """Of the pictures themselves."""
    if not of.kept:
        return
    flat = [each for each in of.kept if each.deviation < FLAT]
    if len(flat) == len(of.kept) > 1:
        yield about("one color", "unsound", flat, of, "is of one color", "there is nothing to learn; give other images")
    elif flat:
        yield about("one color", "check", flat, of, "is blank or of one color", "remove it")
    groups = equal_groups(of.kept)
    if len(groups) == 1 and len(groups[0]) == len(of.kept) > 1:
        yield about("same image", "unsound", of.kept, of, "is the same picture", "give different images")
    elif groups:
        yield from repeated(groups, of)
    sides = sorted(min(each.size) for each in of.kept)
    limit = max(min(TINY, sides[-1]), sides[len(sides) // 2] // 8)
    tiny = sorted((each for each in of.kept if min(each.size) < limit), key=lambda each: min(each.size))
    if tiny:
        height, width = tiny[0].size
        advice = "remove it if it is a thumbnail or an icon"
        yield about("tiny", "check", tiny, of, f"has {width} x {height} pixels", advice)
    labeled = [each for each in of.kept if each.few_colors]
    if labeled:
        what = "has so few colors that it looks like a mask"
        yield about("labels", "check", labeled, of, what, "if these are masks, move them out of the folder of images")


def equal_groups(kept: Sequence[Facts]) -> list[list[Facts]]:
    """Groups of samples whose pictures are equal; those of one color aside unless there are no others."""
    groups: dict[bytes, list[Facts]] = defaultdict(list)
    for each in kept:
        groups[each.digest].append(each)
    several = [group for group in groups.values() if len(group) > 1]
    return several if len(groups) == 1 else [group for group in several if group[0].deviation >= FLAT]


def repeated(groups: Sequence[Sequence[Facts]], of: Collection) -> Iterator[Finding]:
    """Groups of equal pictures, and those among them whose masks differ."""
    yield copies("same image", groups, f"{sum(map(len, groups)) - len(groups)}", of, "shows the same as", COPIES)
    differing = [
        each for group in groups for each in group[1:] if each.labels and each.mask_digest != group[0].mask_digest
    ]
    if differing:
        what = "is a mask of a picture that has another mask too"
        yield about("two masks", "check", differing, of, what, "keep the right one", masks=True)


COPIES = "remove the copies, since they count twice"


def copies(kind: str, groups: Sequence[Sequence[Facts]], count: str, of: Collection, what: str, advice: str) -> Finding:
    """A finding on groups of images; count: how many there are beyond the first of each group, in words."""
    first, second, *_ = groups[0]
    share = f"{count} of {number(of.total, 'image')} of {of.split}{of.part}, in {number(len(groups), 'group')}"
    text = f"{second.entry.image}: {what} {first.entry.image} ({share}); {advice}"
    beyond = sum(map(len, groups)) - len(groups)
    return Finding(kind, "check", text, beyond, [each.entry for group in groups for each in group])


def header_findings(of: Collection) -> Iterator[Finding]:
    """Of what files say of themselves: pixels, orientation, color profiles."""
    kinds = of.kinds()
    usual = max(kinds, key=lambda kind: kinds[kind], default="")
    for kind in sorted(kinds):
        found = [each for each in of.kept if each.header and each.header.kind == kind]
        if kind == "CMYK":
            advice = "convert it to RGB with its profile, since colors are converted without"
            yield about(kind, "check", found, of, "is CMYK", advice)
        elif kind != usual:
            yield about(kind, "note", found, of, f"is {kind}, and most are {usual}", "it is read as 8-bit RGB")
    turned = [each for each in of.kept if each.header and each.header.orientation != 1]
    if turned:
        # Where sizes differ once an image is turned, its mask was compared with them.
        unclear = [each for each in turned if each.labels and each.header and each.header.orientation < 5]
        advice = "it is read upright; other tools may not turn it"
        if unclear:
            turned, advice = unclear, "see in data show whether its mask is upright too"
        what = "is turned by its EXIF orientation"
        yield about("orientation", "check" if unclear else "note", turned, of, what, advice)
    profiles = {each.header.profile for each in of.kept if each.header}
    other = [each for each in of.kept if each.header and each.header.profile]
    if other and other[0].header:
        what = f"has the color profile {other[0].header.profile}"
        advice = "colors are read as stored; convert the images to sRGB if they come from several devices"
        yield about("profile", "check" if len(profiles) > 1 else "note", other, of, what, advice)
