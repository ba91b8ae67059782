"""Tables of the classes' colors, as tools write them beside color masks."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinsight.data.samples import VOID, voc_palette
from twinsight.errors import UserError
from twinsight.plain import read_json, read_lines, read_text

VOID_NAMES = frozenset({"ignored", "ignore", "void", "unlabeled", "unlabelled"})
"""Names, in lower case, of what counts nowhere."""

Row = tuple[str, tuple[int, int, int] | None]


@dataclass(frozen=True)
class Kind:
    """title: of the export. line: how it lists a class. read: the rows of a file."""

    title: str
    line: str
    read: Callable[[Path], list[Row]]


@dataclass(frozen=True)
class Table:
    """The classes that a file lists, in its order, and their colors.

    labels: of each of its lines, with 255 for void: what masks of indices hold in place of colors.
    note: what was added to the file, in words.
    """

    file: Path
    kind: Kind
    names: tuple[str, ...]
    colors: np.ndarray
    void: tuple[tuple[int, int, int], ...]
    labels: tuple[int, ...]
    note: str = ""


def label_map(file: Path) -> list[Row]:
    """NAME:R,G,B:PARTS:ACTIONS, of CVAT and datumaro."""
    rows = [line.split(":") for line in read_lines(file) if line[0] != "#"]
    return [(row[0], color(file, row[1].split(",")) if len(row) > 1 and row[1].strip() else None) for row in rows]


def label_colors(file: Path) -> list[Row]:
    """R G B NAME, of CamVid."""
    rows = [line.split(None, 3) for line in read_lines(file) if line[0] != "#"]
    return [(row[3], color(file, row[:3])) if len(row) == 4 else (" ".join(row), None) for row in rows]


def classes_csv(file: Path) -> list[Row]:
    """A first line that names the columns name, r, g and b, in any order."""
    rows = list(csv.reader(io.StringIO(read_text(file)), skipinitialspace=True))
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    if not {"name", "r", "g", "b"} <= {*columns}:
        raise UserError(f"{file}: its first line is not name,r,g,b; correct it")
    places = [columns.index(name) for name in ("name", "r", "g", "b")]
    rows = [row for row in rows[1:] if "".join(row).strip()]
    if short := [row for row in rows if len(row) <= max(places)]:
        raise UserError(f"{file}: has the line {','.join(short[0])}, not name,r,g,b; correct it")
    return [(row[places[0]].strip(), color(file, [row[place] for place in places[1:]])) for row in rows]


def classes_json(file: Path) -> list[Row]:
    """A list of objects with name, r, g and b."""
    try:
        found = json.loads(read_text(file))
        return [(str(each["name"]), color(file, [each[channel] for channel in "rgb"])) for each in found]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f'{file}: is not a list of {{"name": ..., "r": ..., "g": ..., "b": ...}}; correct it'
        ) from error


def dataset_meta(file: Path) -> list[Row]:
    """datumaro's dataset_meta.json, which it writes in place of a label map if asked."""
    content = read_json(file, ("label_map",))
    names = [str(name) for name in content["label_map"].values()]
    colors = content.get("segmentation_colors") or [None] * len(names)
    return [(name, None if each is None else color(file, each)) for name, each in zip(names, colors)]


def color(file: Path, channels: Sequence[object]) -> tuple[int, int, int]:
    try:
        r, g, b = (int(str(channel)) for channel in channels)
        if min(r, g, b) >= 0 and max(r, g, b) <= 255:
            return r, g, b
    except ValueError:
        pass
    raise UserError(f"{file}: {','.join(map(str, channels))} is not a color; write three numbers from 0 to 255")


CVAT = Kind("color masks with labelmap.txt", "NAME:{color}::", label_map)
CAMVID = Kind("CamVid color masks", "{color} NAME, with spaces for commas", label_colors)
NAMED = Kind("color masks", "NAME,{color}", classes_csv)

KINDS = {
    "labelmap.txt": CVAT,
    "label_colors.txt": CAMVID,
    "classes.csv": NAMED,
    "class_dict.csv": NAMED,
    "classes.json": Kind("color masks", "NAME and r, g, b of {color}", classes_json),
    "dataset_meta.json": Kind("datumaro color masks", "NAME and {color}", dataset_meta),
}
"""By the name of the file."""


def is_table(file: Path, head: str) -> bool:
    """Whether a file of one of these names, which begins so, is a table of colors."""
    lines = [line for line in head.splitlines() if line.strip() and line.strip()[0] != "#"]
    if file.name == "labelmap.txt":
        return not lines or lines[0].count(":") == 3  # without a line it is still CVAT's, and refused for it
    if file.suffix == ".csv":
        return bool(lines) and {"name", "r", "g", "b"} <= {cell.strip().lower() for cell in lines[0].split(",")}
    if file.name == "classes.json":
        return all(f'"{channel}"' in head for channel in "rgb")
    return file.name != "dataset_meta.json" or '"label_map"' in head


def read_table(file: Path) -> Table:
    """The classes of a file and their colors. Raises UserError if it contradicts itself.

    Without any colors, which is how datumaro (1.13) writes the label map of a set that had none, they are VOC's, in the
    order of the file. A class called void, ignored or unlabeled is void.
    """
    kind = KINDS[file.name]
    rows, note = kind.read(file), ""
    if not rows:
        raise UserError(f"{file}: names no class; write one per line, as {kind.line.format(color='128,0,0')}")
    uncolored = [name for name, each in rows if each is None]
    # datumaro lists no background of CamVid if the source had no class called so, and yet paints it black.
    if kind is CAMVID and not {"background", (0, 0, 0)} & {each for row in rows for each in row}:
        rows = [("background", None if uncolored else (0, 0, 0)), *rows]
        uncolored = [name for name, each in rows if each is None]
    if len(uncolored) == len(rows):
        colors = [(int(r), int(g), int(b)) for r, g, b in voc_palette(len(rows))]
        rows = [(name, each) for (name, _), each in zip(rows, colors)]
        note = f"{file.name} names no colors, as datumaro writes it, so they are VOC's"
    elif uncolored:
        raise UserError(f"{file}: gives {uncolored[0]} no color, but others one; add it")
    counted = [name for name, _ in rows if name.lower() not in VOID_NAMES]
    if len({*counted}) < len(counted):
        raise UserError(f"{file}: names {len(counted)} classes, {len({*counted})} of them different; correct it")
    labels = tuple(VOID if name.lower() in VOID_NAMES else counted.index(name) for name, _ in rows)
    colors = [each for (_, each), label in zip(rows, labels) if label != VOID and each]
    void = tuple(each for (_, each), label in zip(rows, labels) if label == VOID and each)
    return Table(file, kind, tuple(counted), np.array(colors, np.uint8).reshape(-1, 3), void, labels, note)
