"""labelme's annotations: a JSON file beside each image, drawn as labelme draws them (labelme.utils.shapes_to_label)."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from twinsight.data.exports.export import BACKGROUND, Contents, Export, Images, numbered
from twinsight.data.exports.survey import Survey
from twinsight.data.samples import VOID, Entry
from twinsight.errors import UserError
from twinsight.plain import read_json, read_lines

UNLABELED, IGNORED = "_background_", "__ignore__"
"""What labelme's examples call the pixels of no shape, and void, in their labels.txt."""

LINE, RADIUS = 10, 5
"""The width of a line and the radius of a point, in pixels, that labelme draws."""


class Labelme(Export):
    """Polygons, rectangles, circles, lines, points and masks drawn with labelme.

    Class 0 is background, the pixels of no shape; later shapes cover earlier ones. The other classes are those of a
    labels.txt, in its order, or else the labels that occur, in alphabetical order. Images without a JSON file are not
    annotated yet and are left out.
    """

    title = "labelme annotations"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any('"shapes"' in head and '"imagePath"' in head for head in survey.heads(".json").values())

    def read(self, root: Path) -> Contents:
        images = Images(root)
        entries: list[Entry] = []
        used: set[str] = set()
        for file in sorted(root.rglob("*.json")):
            content = read_json(file)
            if "shapes" in content and "imagePath" in content:
                image = images.find(str(content["imagePath"]), file)
                entries.append(Entry(images.id(image), image, file))
                used |= {str(shape["label"]) for shape in content["shapes"]}
        if not entries:
            raise UserError(f"{root}: holds no labelme annotations (.json beside the images); check the path")
        names = classes(root, used)
        self.labels = {**numbered(names, root), UNLABELED: 0, IGNORED: VOID}
        rest = len(images) - len(entries)
        return Contents(entries, names, note=f"without annotations and left out: {rest}" if rest else "")

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        content = read_json(entry.mask, ("shapes", "imageHeight", "imageWidth"))
        mask = Image.new("L", (content["imageWidth"], content["imageHeight"]))
        for shape in content["shapes"]:
            paint(mask, shape, self.labels[shape["label"]], entry.mask)
        return np.array(mask)


def classes(root: Path, used: set[str]) -> list[str]:
    """Background, then the labels of labels.txt, or those that are used. Raises UserError for one that it lacks."""
    file = root / "labels.txt"
    listed = read_lines(file) if file.is_file() else sorted(used)
    if strange := sorted(used - {*listed, UNLABELED, IGNORED}):
        raise UserError(f"{file}: lacks {strange[0]}, which annotations use; add it")
    return [BACKGROUND, *(name for name in listed if name not in (UNLABELED, IGNORED, BACKGROUND))]


def paint(mask: Image.Image, shape: dict[str, Any], label: int, file: Path) -> None:
    """Draw one shape into an image of labels, as labelme's `shape_to_mask` draws it."""
    kind, draw = shape.get("shape_type") or "polygon", ImageDraw.Draw(mask)
    points: Sequence[tuple[float, float]] = [(x, y) for x, y in shape["points"]]
    if kind in ("polygon", "oriented_rectangle"):
        draw.polygon(points, fill=label, outline=label)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = points
        draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=label, outline=label)
    elif kind in ("circle", "point"):
        center, radius = points[0], RADIUS if kind == "point" else math.dist(*points)
        box = (center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius)
        draw.ellipse(box, fill=label, outline=label)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=label, width=LINE)
    elif kind == "mask":
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"])), formats=("PNG",)) as drawn:
            mask.paste(label, (int(points[0][0]), int(points[0][1])), drawn.convert("1"))
    else:
        raise UserError(f"{file}: holds a shape of type {kind}, which covers no pixels; remove it")
