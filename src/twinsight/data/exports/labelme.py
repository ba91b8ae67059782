"""labelme's annotations: a JSON file beside each image, drawn as labelme draws them (labelme.utils.shapes_to_label)."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from twinsight.data.decode import image_size
from twinsight.data.exports.export import BACKGROUND, Contents, Export, Images, numbered, once
from twinsight.data.exports.parsing import parsing, refuse_unlisted, same_size
from twinsight.data.exports.survey import Survey
from twinsight.data.samples import VOID, Entry
from twinsight.errors import UserError
from twinsight.plain import load_json, read_json, read_lines

UNLABELED, IGNORED = "_background_", "__ignore__"
"""What labelme's examples call the pixels of no shape, and void, in their labels.txt."""

LINE, RADIUS = 10, 5
"""The width of a line and the radius of a point, in pixels, that labelme draws."""

LEAST = {"polygon": 3, "oriented_rectangle": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 2}
"""The fewest points of each shape; of others, one."""


class Labelme(Export):
    """Polygons, rectangles, circles, lines, points and masks drawn with labelme.

    Class 0 is background, the pixels of no shape; later shapes cover earlier ones. The other classes are those of a
    labels.txt, in its order, or else the labels that occur, in alphabetical order. Images without a JSON file are not
    annotated yet and are left out. An image that is nowhere is the one that its JSON file embeds (imageData).
    """

    title = "labelme annotations"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        heads = survey.heads(".json").values()  # which shapes may fill
        return any('"shapes"' in head and ('"imagePath"' in head or '"shape_type"' in head) for head in heads)

    def read(self, root: Path) -> Contents:
        images = Images(root)
        entries: list[Entry] = []
        used: dict[str, list[Path]] = {}
        for file in sorted(root.rglob("*.json")):
            content = load_json(file)
            if isinstance(content, dict) and "shapes" in content and "imagePath" in content:
                with parsing(file):
                    called = PureWindowsPath(content["imagePath"]).name
                    alone = called not in images and content.get("imageData")
                    image = file if alone else images.find(content["imagePath"], file)
                    for shape in content["shapes"]:
                        used.setdefault(str(shape["label"]), []).append(file)
                entries.append(Entry(images.id(image), image, file))
        if not entries:
            raise UserError(f"{root}: holds no labelme annotations (.json beside the images); check the path")
        once(entries)
        names = classes(root, used)
        self.labels = {**numbered(names, root), UNLABELED: 0, IGNORED: VOID}
        rest = len(images) - sum(entry.image != entry.mask for entry in entries)
        return Contents(entries, names, note=f"without annotations and left out: {rest}" if rest else "")

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        height, width = image_size(entry.image, self.reading)
        content = read_json(entry.mask)
        with parsing(entry.mask):
            same_size((content.get("imageHeight") or height, content.get("imageWidth") or width), height, width)
            mask = Image.new("L", (width, height))
            for shape in content["shapes"]:
                paint(mask, shape, self.labels[str(shape["label"])])
        return np.array(mask)


def classes(root: Path, used: Mapping[str, Sequence[Path]]) -> list[str]:
    """Background, then the labels of labels.txt, or those that are used. Raises UserError for one that it lacks."""
    file = root / "labels.txt"
    listed = read_lines(file) if file.is_file() else sorted(used)
    strange = sorted(used.keys() - {*listed, UNLABELED, IGNORED})
    refuse_unlisted(file, [(name, where) for name in strange for where in used[name]])
    return [BACKGROUND, *(name for name in listed if name not in (UNLABELED, IGNORED, BACKGROUND))]


def paint(mask: Image.Image, shape: Mapping[str, Any], label: int) -> None:
    """Draw one shape into an image of labels, as labelme's `shape_to_mask` draws it. Raises ValueError if it cannot."""
    kind, draw = shape.get("shape_type") or "polygon", ImageDraw.Draw(mask)
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if len(points) < LEAST.get(kind, 1) or not np.isfinite(points).all():
        raise ValueError(f"a {kind} of {len(points)} points, or of points that are not numbers")
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
            stencil = Image.fromarray(np.array(drawn) != 0)  # labelme stores 0 and 1, which `convert` takes for black
        mask.paste(label, (int(points[0][0]), int(points[0][1])), stencil)
    else:
        raise ValueError(f"a shape of type {kind}, which covers no pixels")
