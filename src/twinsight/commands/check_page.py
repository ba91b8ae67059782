"""The outcome of `data check` as a page, with pictures of the worst samples."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from twinsight.data.check import VERDICTS, Checkup, verdict
from twinsight.data.checkup.findings import WEIGHTS, Finding
from twinsight.data.checkup.tables import CLASS_COLUMNS, class_rows, images
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.wording import number
from twinsight.errors import UserError
from twinsight.report.page import Gallery, Picture, Section, Table, write_page

SHOWN = 6
"""Samples of a finding that are shown."""
HEIGHT = 150
"""Of a thumbnail in pixels."""


def write_check_page(file: Path, name: str, checkups: Mapping[str, Checkup], shared: Sequence[Finding]) -> None:
    """shared: findings on both splits."""
    found = [(split, each) for split, checkup in checkups.items() for each in checkup.findings]
    found += [("both", each) for each in shared]
    found.sort(key=lambda each: WEIGHTS.index(each[1].weight))
    word = verdict([finding for _, finding in found])
    datasets = {split: checkup.facts.dataset for split, checkup in checkups.items()}
    with TemporaryDirectory() as folder:
        sections = [Section("Findings", "" if found else "None.", [findings_table(found)] if found else [])]
        for place, (split, finding) in enumerate(found):
            searched = list(datasets.values()) if split == "both" else [datasets[split]]
            pictures = list(thumbnails(finding, searched, Path(folder, str(place))))
            where = "" if split == "both" else f" in {split}"
            heading = f"{finding.kind[0].upper()}{finding.kind[1:]}: {finding.count}{where}"
            text = f"{finding.text}." if not finding.more else f"{finding.text}. The first: {finding.more[0]}."
            sections.append(Section(heading, text, [Gallery(pictures)] if pictures else []))
        sections += [split_section(split, checkup) for split, checkup in checkups.items()]
        write_page(file, f"Check of {name}", f"{word.capitalize()}: {VERDICTS[word]}.", sections)


def findings_table(found: Sequence[tuple[str, Finding]]) -> Table:
    rows = [(each.kind, each.weight, split, str(each.count)) for split, each in found]
    return Table(
        ("finding", "weight", "split", "number"),
        rows,
        "unsound: training means nothing or stops; check: likely a mistake; note: good to know",
    )


def split_section(split: str, checkup: Checkup) -> Section:
    read = number(len(checkup.facts.kept), "sample")
    text = f"{checkup.verdict.capitalize()}. {read} read; {'; '.join(images(checkup))}."
    rows = [tuple(cell.replace(",", "").rstrip("%") for cell in row) for row in class_rows(checkup)]
    header = [{"share": "share (%)"}.get(name, name) for name in CLASS_COLUMNS]
    tables = [  # two, since one would not fit a telephone
        Table([header[at] for at in columns], [[row[at] for at in columns] for row in rows], note)
        for columns, note in (((1, 0, 4, 3), ""), ((1, 2, 5, 6), NOTE))
    ]
    return Section(f"All of {split}", text, tables if checkup.facts.dataset.classes else [])


NOTE = "Regions are connected by the sides of their pixels, and measured in pixels."


def thumbnails(finding: Finding, datasets: Sequence[Dataset], stem: Path) -> Iterator[Picture]:
    """The first of a finding's samples that can be read, each with its mask laid over it."""
    for place, entry in enumerate(finding.entries[:SHOWN]):
        dataset = next((each for each in datasets if entry in each.entries), datasets[0])
        try:
            pixels = thumbnail(dataset, entry)
        except UserError:
            continue
        file = stem.with_name(f"{stem.name}-{place}.jpg")
        Image.fromarray(pixels).save(file, quality=85)
        yield Picture(file, f"{entry.id}, {finding.kind}", title=entry.id)


def thumbnail(dataset: Dataset, entry: Entry) -> np.ndarray:
    """(150, W, 3) uint8: the image, and beside it the same under its mask. Raises UserError if either is unreadable."""
    index = dataset.entries.index(entry)
    image = dataset.image(index)
    width = min(4 * HEIGHT, max(8, round(HEIGHT * image.shape[1] / image.shape[0])))
    small = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    labels = dataset.mask(index)
    if labels is None:
        return small
    colors = np.full((256, 3), 255, np.uint8)
    colors[: len(dataset.palette)] = dataset.palette[:VOID]
    laid = colors[np.asarray(cv2.resize(labels, (width, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)]
    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    return np.hstack([small, gap, cv2.addWeighted(small, 0.4, laid, 0.6, 0)])
