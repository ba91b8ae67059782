"""Label Studio's JSON: brushes as its converter decodes them, shapes in percent as its COCO export places them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import cos, radians, sin
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from twinsight.data.decode import image_size
from twinsight.data.exports.coco_files import MOST
from twinsight.data.exports.export import Contents, Export, Images, once
from twinsight.data.exports.labelme import classes
from twinsight.data.exports.objects import labels_of
from twinsight.data.exports.parsing import counted, parsing
from twinsight.data.exports.rasters import polygon
from twinsight.data.exports.survey import Survey
from twinsight.data.samples import Entry
from twinsight.errors import UserError
from twinsight.plain import load_json

UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""What Label Studio calls a file that was uploaded to it."""


BRIEF = re.compile(r'"annotation_id"|"original_width"|"format": "rle"')
"""What a file in the form of JSON-MIN has, of which one may be far from its beginning."""


class LabelStudio(Export):
    """Of each task the last annotation that was not cancelled, later regions over earlier ones; no predictions.

    JSON-MIN is read too, which does not say which images were turned in Label Studio.

    Class 0 is background, the pixels of no region. The others are those of a labels.txt, in its order, or else the
    labels that occur, in alphabetical order.
    """

    title = "Label Studio annotations"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        heads = [head for head in survey.heads(".json").values() if head.lstrip().startswith("[")]
        return any(('"annotations"' in head and '"result"' in head) or BRIEF.search(head) for head in heads)

    def read(self, root: Path) -> Contents:
        images = Images(root)
        entries: list[Entry] = []
        regions: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        used: dict[str, list[Path]] = {}
        left_out = Counter[str]()
        notes: dict[str, None] = {}
        for file in sorted(root.rglob("*.json")):
            tasks = load_json(file, MOST)
            if not isinstance(tasks, list) or not tasks or not isinstance(tasks[0], dict):
                continue
            if not {"annotations", "annotation_id"} & tasks[0].keys():
                continue
            with parsing(file):
                if "annotation_id" in tasks[0]:
                    notes["JSON-MIN does not say which images were turned in Label Studio"] = None
                    tasks = [as_task(each, file) for each in {each["id"]: each for each in reversed(tasks)}.values()]
                for task in tasks:
                    made = [each for each in task["annotations"] if not each.get("was_cancelled")]
                    if not made:
                        left_out["task without annotations"] += 1
                        continue
                    image = find(task["data"], images, file)
                    entries.append(Entry(images.id(image), image, file))
                    drawn = regions[entries[-1].id] = []
                    for result in made[-1]["result"]:
                        if name := drawable(result):
                            drawn.append((name, packed(result)))
                            used.setdefault(name, []).append(file)
                        else:
                            left_out[f"result of type {result.get('type')}"] += 1
        once(entries)
        if not entries:
            raise UserError(f'{root}: holds no annotated tasks of Label Studio; export them as "JSON"')
        names = classes(root, used)
        labels = labels_of(list(used), names)
        self.regions = {id: [(labels[name], result) for name, result in drawn] for id, drawn in regions.items()}
        return Contents(entries, names, note="; ".join(filter(None, (counted(left_out), *notes))))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        height, width = image_size(entry.image, self.reading)
        labels = np.zeros((height, width), np.uint8)
        with parsing(entry.mask):
            for label, result in self.regions[entry.id]:
                size = result["original_height"], result["original_width"]
                if size != (height, width) or result.get("image_rotation"):
                    raise ValueError(f"{entry.image.name} was turned or had another size, {size[1]} x {size[0]}")
                labels[pixels(result["value"], height, width)] = label
        return labels


def as_task(record: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """A record of JSON-MIN as the task that it is of: its regions stand below the name of the control that made them.

    There is one for each annotation, the newest first. Raises UserError for regions of two controls, whose order is
    lost.
    """
    lists = {name: value for name, value in record.items() if isinstance(value, list) and name != "annotator"}
    controls = {name: value for name, value in lists.items() if any("original_width" in each for each in value)}
    if len(controls) > 1:
        raise UserError(
            f"{file}: has regions of {' and '.join(controls)} in one image, and JSON-MIN does not keep which lies on "
            'top; export "JSON" instead'
        )
    result = [
        {**value, "type": next((key for key in value if key.endswith("labels")), None), "value": value}
        for value in next(iter(controls.values()), [])
    ]
    return {"data": record, "annotations": [{"result": result}]}


def find(data: Mapping[str, Any], images: Images, file: Path) -> Path:
    """The image of a task, under the name that it was uploaded with or the one that Label Studio gave it."""
    texts = [unquote(value.rpartition("?d=")[2]) for value in data.values() if isinstance(value, str)]
    for text in texts:
        if text.rpartition("/")[2] in images:
            return images.find(text, file)
    for text in texts:
        if (match := UPLOADED.fullmatch(text.rpartition("/")[2])) and match[1] in images:
            return images.find(match[1], file)
    return images.find(texts[0] if texts else "of no name", file)


def drawable(result: Mapping[str, Any]) -> str | None:
    """The label of a region that covers pixels; None for key points, choices, and regions without a label."""
    value = result.get("value", {})
    names = value.get(result.get("type")) or value.get("labels")
    covers = "rle" in value or "points" in value or "radiusX" in value or {"x", "y", "width", "height"} <= value.keys()
    return str(names[0]) if names and covers and not str(result.get("type")).startswith("keypoint") else None


def packed(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """A region with its brush as bytes: a list takes eight times as much."""
    value = result["value"]
    return {**result, "value": {**value, "rle": bytes(value["rle"])}} if "rle" in value else result


def pixels(value: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """(height, width) bool of one region; its numbers are percents of the image's width and height."""
    if "rle" in value:
        return brush(value["rle"], height * width * 4).reshape(height, width, 4)[..., 3] > 0
    scale = np.array([width, height])
    if "points" in value:
        return polygon(np.array(value["points"], float) / 100 * scale, height, width)
    turn = radians(value.get("rotation", 0))
    if "radiusX" in value:
        angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
        corners = np.stack([value["radiusX"] * np.cos(angles), value["radiusY"] * np.sin(angles)], axis=1)
    else:  # a rectangle, turned about its upper left corner
        corners = np.array([[0, 0], [value["width"], 0], [value["width"], value["height"]], [0, value["height"]]])
    corners = corners / 100 * scale @ np.array([[cos(turn), sin(turn)], [-sin(turn), cos(turn)]])
    return polygon(corners + np.array([value["x"], value["y"]]) / 100 * scale, height, width)


def brush(packed: Sequence[int] | bytes, length: int) -> np.ndarray:
    """(length,) uint8, decoded as label_studio_sdk.converter.brush.decode_rle does: runs and literals in a bit stream
    (github.com/thi-ng/umbrella, rle-pack)."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    if read(32) != length:
        raise ValueError(f"a brush that is not of {length // 4} pixels")
    size = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values = np.empty(length, np.uint8)
    start = 0
    while start < length:
        repeated = read(1)
        end = min(start + 1 + read(sizes[read(2)]), length)
        values[start:end] = read(size) if repeated else [read(size) for _ in range(end - start)]
        start = end
    return values
