"""CVAT for images 1.1: XML, drawn as datumaro draws it, which is what CVAT exports masks with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import cos, radians, sin
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from twinsight.data.decode import image_size
from twinsight.data.exports.coco_files import MOST
from twinsight.data.exports.export import Contents, Export, Images, numbered, once
from twinsight.data.exports.objects import labels_of, palette, with_background
from twinsight.data.exports.parsing import counted, parsing, refuse_unlisted, same_size
from twinsight.data.exports.rasters import polygon, runs
from twinsight.data.exports.survey import Survey
from twinsight.data.samples import Entry
from twinsight.data.splits import ROLES
from twinsight.errors import UserError
from twinsight.plain import read_text

DRAWN = ("polygon", "mask", "box", "ellipse")
FILES = "the annotation files"
Shape = tuple[int, str, Mapping[str, str]]
"""Label, kind, and attributes as the file has them."""


class Cvat(Export):
    """Polygons, masks, boxes and ellipses, by z_order; class 0 is background, the others are the labels of <meta>."""

    title = "CVAT for images"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any("<annotations>" in head and "<version>1" in head for head in survey.heads(".xml").values())

    def read(self, root: Path) -> Contents:
        images = Images(root)
        files = {file: tree for file in sorted(root.rglob("*.xml")) if (tree := parse(file)).tag == "annotations"}
        if not files:
            raise UserError(f"{root}: holds no annotations of CVAT (.xml); check the path")
        colors: dict[str, str] = {}
        for file, tree in files.items():
            if tree.find("track") is not None:
                raise UserError(f'{file}: holds tracks of a video; export it as "CVAT for images 1.1" instead')
            for label in tree.iterfind("meta//labels/label"):
                colors.setdefault(label.findtext("name", ""), label.findtext("color", ""))
        classes = with_background(list(colors))
        numbered(classes, next(iter(files)))
        labels = labels_of(list(colors), classes)
        self.shapes: dict[str, list[Shape]] = {}
        self.sizes: dict[str, tuple[str, str]] = {}
        entries: list[Entry] = []
        left_out = Counter[str]()
        strange: list[tuple[object, object]] = []
        stating = "the folders"
        for file, tree in files.items():
            with parsing(file):
                for image in tree.iterfind("image"):
                    found = images.find(image.attrib["name"], file)
                    role = ROLES.get(image.get("subset", file.stem).lower())
                    id, stating = (f"{role}/{images.id(found)}", FILES) if role else (images.id(found), stating)
                    entries.append(Entry(id, found, file))
                    self.sizes[id] = image.attrib["height"], image.attrib["width"]
                    drawn = self.shapes[id] = []
                    for shape in sorted(image, key=lambda shape: int(shape.get("z_order", 0))):
                        if shape.tag not in DRAWN or shape.get("outside") == "1":
                            left_out[f"shape of kind {shape.tag}"] += 1
                        elif (name := shape.attrib["label"]) not in labels:
                            strange.append((name, found))
                        else:
                            drawn.append((labels[name], shape.tag, shape.attrib))
        refuse_unlisted(next(iter(files)), strange)
        once(entries)
        return Contents(entries, classes, palette(classes, colors), stating=stating, note=counted(left_out))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        height, width = image_size(entry.image, self.reading)
        labels = np.zeros((height, width), np.uint8)
        with parsing(entry.mask):
            same_size(self.sizes[entry.id], height, width)
            for label, kind, values in self.shapes[entry.id]:
                labels[pixels(kind, values, height, width)] = label
        return labels


def parse(file: Path) -> ElementTree.Element:
    """The root of an XML file. Entities are refused: a few lines of them fill any memory."""
    text = read_text(file, most=MOST)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(
            f"{file}: declares a document type or entities, as no export of CVAT does; remove the declaration"
        )
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"{file}: is not valid XML ({error}); export it anew") from error


def pixels(kind: str, values: Mapping[str, str], height: int, width: int) -> np.ndarray:
    """(height, width) bool of one shape; coordinates are in pixels, from the image's upper left corner."""
    if kind == "polygon":
        points = [[float(number) for number in pair.split(",")] for pair in values["points"].split(";")]
        return polygon(kept(points), height, width)
    if kind == "box":
        left, top, right, bottom = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        if "rotation" in values:
            center = [(left + right) / 2, (top + bottom) / 2]
            x, y, across, down, degrees = kept([*center, right - left, bottom - top, float(values["rotation"])])
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (across / 2, down / 2)
            c, s = cos(radians(degrees)), sin(radians(degrees))
            return polygon(corners @ np.array([[c, s], [-s, c]]) + (x, y), height, width)
        left, top, right, bottom = kept([left, top, right, bottom])
        return polygon(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]), height, width)
    inside = np.zeros((height, width), np.uint8)
    if kind == "ellipse":  # in whole pixels, as CVAT converts ellipses to masks
        x, y, across, down = (round(float(values[key])) for key in ("cx", "cy", "rx", "ry"))
        cv2.ellipse(inside, (x, y), (across, down), float(values.get("rotation", 0)), 0, 360, 1, thickness=-1)
        return inside == 1
    left, top, across, down = (int(values[key]) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or left + across > width or top + down > height:
        raise ValueError(f"a mask of {across} x {down} at {left}, {top}, beyond the image's {width} x {height}")
    drawn = runs([int(count) for count in values["rle"].split(",")], across * down)
    inside[top : top + down, left : left + across] = drawn.reshape(down, across)
    return inside == 1


def kept(numbers: Sequence[Any]) -> np.ndarray:
    """Coordinates as datumaro keeps them, which decides on pixels where an outline passes just between two."""
    return np.array(numbers, np.float32).round(2).astype(float)
