"""Supervisely's projects: meta.json, and in each data set img/NAME and ann/NAME.json."""

import base64
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twinsight.data.decode import image_size
from twinsight.data.exports.export import Contents, Export, numbered, once
from twinsight.data.exports.objects import labels_of, palette, with_background
from twinsight.data.exports.parsing import counted, parsing, refuse_unlisted, same_size
from twinsight.data.exports.survey import Survey
from twinsight.data.samples import Entry
from twinsight.errors import UserError
from twinsight.plain import read_json

DRAWN = ("bitmap", "polygon", "rectangle")
MOST = 1 << 28
"""Bytes of an unpacked bitmap's PNG."""


class Supervisely(Export):
    """Bitmaps, polygons and rectangles, later over earlier ones, drawn as the package supervisely draws them.

    Class 0 is background, the others are those of meta.json. Data sets called train, val and test state the split.
    """

    title = "a Supervisely project"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return bool(survey.named("meta.json")) and any("/ann/" in f"/{file}" for file in survey.files)

    def read(self, root: Path) -> Contents:
        metas = sorted(file for file in root.rglob("meta.json") if file.parent.name != "ann")
        if len(metas) != 1:
            raise UserError(f"{root}: holds {len(metas)} files meta.json; name the folder of one Supervisely project")
        meta = read_json(metas[0], ("classes",))
        with parsing(metas[0]):
            colors = {str(each["title"]): str(each.get("color", "")) for each in meta["classes"]}
        names = with_background(list(colors))
        numbered(names, metas[0])
        self.labels = labels_of(list(colors), names)
        left_out = Counter[str]()
        strange: list[tuple[object, object]] = []
        entries: list[Entry] = []
        for file in sorted(metas[0].parent.rglob("*.json")):
            if file.parent.name != "ann":
                continue
            image = file.parent.parent / "img" / file.stem
            if not image.is_file():
                raise UserError(f"{file}: its image {image} is missing; export the project with images")
            entries.append(Entry(image.relative_to(metas[0].parent).with_suffix("").as_posix(), image, file))
            content = read_json(file, ("objects", "size"))
            with parsing(file):
                for each in content["objects"]:
                    if each["geometryType"] not in DRAWN:
                        left_out[f"object of type {each['geometryType']}"] += 1
                    elif each["classTitle"] not in self.labels:
                        strange.append((each["classTitle"], file))
        refuse_unlisted(metas[0], strange)
        once(entries)
        return Contents(entries, names, palette(names, colors), note=counted(left_out))

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        height, width = image_size(entry.image, self.reading)
        labels = np.zeros((height, width), np.uint8)
        content = read_json(entry.mask)
        with parsing(entry.mask):
            same_size((content["size"]["height"], content["size"]["width"]), height, width)
            for each in content["objects"]:
                if each["geometryType"] in DRAWN:
                    labels[pixels(each, height, width)] = self.labels[each["classTitle"]]
        return labels


def pixels(each: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """(height, width) bool of one object."""
    inside = np.zeros((height, width), np.uint8)
    if each["geometryType"] == "bitmap":
        left, top = (int(number) for number in each["bitmap"]["origin"])
        drawn = bitmap(each["bitmap"]["data"])[max(-top, 0) : height - top, max(-left, 0) : width - left]
        top, left = max(top, 0), max(left, 0)
        inside[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    elif each["geometryType"] == "polygon":
        cv2.fillPoly(inside, [corners(each["points"]["exterior"])], 1)
        cv2.fillPoly(inside, [corners(hole) for hole in each["points"].get("interior", [])], 0)
    else:
        (left, top), (right, bottom) = corners(each["points"]["exterior"]).tolist()
        cv2.rectangle(inside, (left, top), (right, bottom), 1, thickness=-1)
    return inside == 1


def corners(points: Any) -> np.ndarray:
    """(n, 2) int32 x, y."""
    array = np.array(points, float).reshape(-1, 2)
    if not (np.abs(array) < 1 << 24).all():
        raise ValueError("points that are not numbers within reach")
    return array.astype(np.int32)


def bitmap(data: str) -> np.ndarray:
    """(h, w) bool from a PNG, deflated and in base64: alpha if it has some, else what is not 0."""
    unpacker = zlib.decompressobj()
    try:
        png = unpacker.decompress(base64.b64decode(data), MOST)
    except zlib.error as error:
        raise ValueError(f"a bitmap that is not deflated: {error}") from error
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or (pixels.ndim == 3 and pixels.shape[2] != 4):
        raise ValueError("a bitmap that is not a PNG of one channel or with alpha")
    return (pixels[..., 3] if pixels.ndim == 3 else pixels) > 0
