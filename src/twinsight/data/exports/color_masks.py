"""Masks that show classes in colors, with a table of the colors: of CVAT, datumaro, CamVid and many a script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from twinsight.data.colors import Colors
from twinsight.data.exports.color_tables import KINDS, Table, is_table, read_table
from twinsight.data.exports.export import Contents, Export
from twinsight.data.exports.survey import Survey, head
from twinsight.data.masks import decode_mask
from twinsight.data.pairing import ARRAYS, Paired, key, pair_up
from twinsight.data.samples import VOID, Entry
from twinsight.data.search import find_images
from twinsight.data.splits import ROLES
from twinsight.data.wording import number
from twinsight.errors import UserError
from twinsight.plain import read_lines


class ColorMasks(Export):
    """Images and color masks, paired by name, with labelmap.txt, label_colors.txt, classes.csv or classes.json.

    Void are the classes called void, ignored or unlabeled, and VOC's outline (224, 224, 192), unless a class has that
    color. Lists in ImageSets/Segmentation state the splits, or else folders do. Masks of one gray channel, which
    datumaro writes if asked not to color them, hold the number of each class in the table.

    edges: what happens to pixels along edges with a color mixed of both sides': "refuse" the mask, or count them as
    "void".
    """

    title = "color masks"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any(is_table(file, head(file)) for file in survey.named(*KINDS))

    def __init__(self, root: Path, split: str = "train", *, edges: str = "refuse", **how: Any):
        self.edges = edges
        super().__init__(root, split, **how)

    def read(self, root: Path) -> Contents:
        table = find_table(root)
        paired = pair_up(root, find_images(root, ARRAYS))
        if paired is None:
            raise UserError(f"{root}: holds {table.file.name}, but no masks; put them into a folder called masks")
        entries = annotated(root, paired)
        entries, roles, listed = by_lists(root, entries)
        rest = len(paired.images) - len(entries)
        notes = [table.note, f"left out: {number(rest, 'image')} {listed}" if rest else ""]
        self.title = table.kind.title
        self.colors = Colors(table.names, table.colors, table.void, table.file, table.kind.line, self.edges)
        self.indexed = is_indexed(entries[0].mask, table)
        self.numbers = np.full(256, len(table.names), np.uint8)
        self.numbers[[*range(len(table.labels)), VOID]] = [*table.labels, VOID]
        return Contents(entries, table.names, table.colors, roles, note="; ".join(note for note in notes if note))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        if self.indexed:
            return self.numbers[decode_mask(entry.mask, self.reading)]
        return self.colors.decode(entry.mask, self.reading)


def find_table(root: Path) -> Table:
    """The table of a folder, of several equal ones the first. Raises UserError if there is none, or they differ."""
    survey = Survey(root)
    files = [file for file in survey.named(*KINDS) if is_table(file, head(file))]
    if not files:
        raise UserError(f"{root}: has no table of colors ({', '.join(KINDS)}); write a classes.csv of name,r,g,b")
    tables = [read_table(file) for file in files]
    for other in tables[1:]:
        if other.names != tables[0].names or not np.array_equal(other.colors, tables[0].colors):
            raise UserError(f"{other.file}: lists other classes or colors than {tables[0].file}; remove one of them")
    return tables[0]


def annotated(root: Path, paired: Paired) -> list[Entry]:
    """The images with a mask. Raises UserError for a mask without its image."""
    alone = sorted(paired.masks.keys() - paired.images.keys())
    if alone:
        raise UserError(
            f"{paired.masks[alone[0]]}: has no image of its name below {root} ({len(alone)} of "
            f"{number(len(paired.masks), 'mask')}); put the images into a folder called "
            "images, or export again with images (CVAT: Save images)"
        )
    return [Entry(name, image, paired.masks[name]) for name, image in paired.images.items() if name in paired.masks]


def by_lists(root: Path, entries: list[Entry]) -> tuple[list[Entry], Sequence[str] | None, str]:
    """The entries that the lists of ImageSets/Segmentation name, their splits, and why others are left out.

    A single list, such as CVAT's default.txt, states no split. Raises UserError for a name without image and mask.
    """
    files = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    splits = {file: ROLES.get(file.stem.lower()) for file in files}
    stated = {file: split for file, split in splits.items() if split}
    chosen = stated if len({*stated.values()}) > 1 else dict.fromkeys(files, "")
    if not chosen:
        return entries, None, "without masks"
    by_name = {entry.id: entry for entry in entries}
    roles: dict[str, str] = {}
    for file, split in chosen.items():
        for line in read_lines(file):
            # With or without an extension, or with a dot of its own.
            names = (line, key(root / f"{line}.png", root), key(root / line, root))
            name = next((name for name in names if name in by_name), None)
            if name is None:
                raise UserError(f"{file}: names {line}, which has no image or no mask; add it, or take the line out")
            if roles.setdefault(name, split) != split:
                raise UserError(f"{file}: names {line}, as the list of {roles[name]} does; take it out of one")
    listed = [entry for entry in entries if entry.id in roles]
    return listed, [roles[entry.id] for entry in listed] if len(stated) > 1 else None, "without masks or in no list"


def is_indexed(mask: Path | None, table: Table) -> bool:
    """Whether a mask is gray while classes have colors, and so holds their numbers."""
    colored = bool((table.colors != table.colors[:, :1]).any())
    try:
        with Image.open(mask or "") as file:
            return colored and file.mode in ("1", "L", "I;16")
    except OSError:  # reading the sample will name the broken file
        return False
