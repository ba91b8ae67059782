"""A checkup as tables and lines of a terminal."""

from collections.abc import Iterator

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from twinsight.data.check import VERDICTS, Checkup
from twinsight.data.checkup.findings import Finding
from twinsight.data.samples import VOID
from twinsight.data.wording import number

COLORS = {"unsound": "red", "check": "yellow", "note": "blue", "sound": "green", "usable": "yellow"}
NAMED = 10
"""Most broken samples that are named one by one."""


def render(checkup: Checkup) -> Group:
    """A table of classes, what the images are, the findings, and the verdict."""
    lines = list(images(checkup))
    for finding in checkup.findings:
        lines += lines_of(finding)
    word = checkup.verdict
    read = f"{number(len(checkup.facts.kept), 'sample')} read"
    lines.append(f"[{COLORS[word]}]{word}[/]: {read}; {VERDICTS[word]}")
    classes = checkup.facts.dataset.classes
    return Group(*([classes_table(checkup)] if classes else []), *lines)


def lines_of(finding: Finding) -> Iterator[str]:
    yield f"[{COLORS[finding.weight]}]{finding.weight}[/]: {escape(finding.text)}"
    yield from (f"  {escape(sentence)}" for sentence in finding.more[:NAMED])
    if len(finding.more) > NAMED:
        yield f"  and {len(finding.more) - NAMED} more; --json FILE names them all"


def images(checkup: Checkup) -> Iterator[str]:
    """Sizes and kinds of pixels."""
    if not len(checkup.sizes):
        return
    for side, lengths in zip(("height", "width"), checkup.sizes.T):
        low, middle, high = np.percentile(lengths, (0, 50, 100))
        yield f"{side}: {low:.0f} to {high:.0f} pixels, median {middle:.0f}"
    kinds = checkup.facts.kinds()
    if kinds:
        yield f"pixels: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}"


def class_rows(checkup: Checkup) -> Iterator[tuple[str, ...]]:
    """Label, name, pixels, share, images, smallest and largest region of each class, and of void."""
    facts, tally = checkup.facts, checkup.facts.tally
    total = max(int(tally.pixels.sum()), 1)
    for label, name in [*enumerate(facts.dataset.classes), (VOID, "void")]:
        regions = [f"{side[label].area:,}" if label in side else "-" for side in (facts.smallest, facts.largest)]
        pixels = tally.pixels[label]
        yield (str(label), name, f"{pixels:,}", f"{pixels / total:.2%}", str(tally.images[label]), *regions)


CLASS_COLUMNS = ("label", "class", "pixels", "share", "images", "smallest region", "largest region")


def classes_table(checkup: Checkup) -> Table:
    table = Table(*CLASS_COLUMNS)
    for row in class_rows(checkup):
        table.add_row(*map(escape, row))
    return table
