"""Roboflow's "Semantic Segmentation Masks": _classes.csv, and NAME_mask.png beside each image."""

import csv
import io
from pathlib import Path

import numpy as np

from twinsight.data.exports.color_tables import VOID_NAMES
from twinsight.data.exports.export import Contents, Export, numbered
from twinsight.data.exports.survey import Survey, head
from twinsight.data.pairing import key
from twinsight.data.palettes import class_colors
from twinsight.data.samples import Entry
from twinsight.data.search import find_images
from twinsight.data.values import Values
from twinsight.errors import UserError
from twinsight.plain import read_text

TABLE, MASK = "_classes.csv", "_mask"


class Roboflow(Export):
    """Images and masks in the folders train, valid and test, or in one; 255 is void unless it is a class.

    A class called void, ignored or unlabeled is void too.
    """

    title = "Roboflow segmentation masks"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any(head(file).lower().startswith("pixel value") for file in survey.named(TABLE))

    def read(self, root: Path) -> Contents:
        tables = {file: read_table(file) for file in sorted(root.rglob(TABLE))}
        if not tables:
            raise UserError(f"{root}: holds no {TABLE}; check the path")
        first, listed = next(iter(tables.items()))
        for file, other in tables.items():
            if other != listed:
                raise UserError(f"{file}: lists other classes than {first}; export all splits of one version")
        files = find_images(root)
        masks = {file.with_suffix(""): file for file in files if file.stem.endswith(MASK)}
        entries: list[Entry] = []
        for image in files:
            if mask := masks.get(image.with_name(image.stem + MASK)):
                entries.append(Entry(key(image, root), image, mask))
        if not entries:
            raise UserError(f"{root}: has no image with its NAME{MASK}.png beside it; export again with images")
        rest = len(files) - 2 * len(entries)
        counted = {value: name for value, name in listed.items() if name.lower() not in VOID_NAMES}
        numbered([*counted.values()], first)
        void = [value for value in listed if value not in counted]
        void += [] if 255 in listed else [255]
        self.values = Values(len(counted), [*counted], void)
        palette = class_colors(entries[0].mask, tuple(counted))
        return Contents(entries, [*counted.values()], palette, note=f"left out: {rest} unpaired" if rest else "")

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        return self.values(super().decode_mask(entry), entry.mask)


def read_table(file: Path) -> dict[int, str]:
    """The class of each value. Raises UserError for other lines, and for a value that occurs twice."""
    found: dict[int, str] = {}
    rows = list(csv.reader(io.StringIO(read_text(file)), skipinitialspace=True))
    for row in rows[1:]:
        value = row[0].strip() if len(row) == 2 else ""
        if not row:
            continue
        if not value.isdecimal() or int(value) > 255 or int(value) in found:
            raise UserError(
                f"{file}: has the line {','.join(row)}, which is not a new value with its class; export again"
            )
        found[int(value)] = row[1].strip()
    if not found:
        raise UserError(f"{file}: lists no class; export again")
    return dict(sorted(found.items()))
