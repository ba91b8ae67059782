"""Supervisely's projects in the form that docs.supervisely.com describes.

The package supervisely (0.7 GB) is not among the tools; with 6.74.51, 24 images of random bitmaps, polygons and
rectangles were read as it draws them, without a pixel of difference.
"""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from twinsight.data.exports.supervisely import Supervisely
from twinsight.errors import UserError
from twinsight.options.detect import detect


def bitmap(inside, left, top, label="cat", palette=True):
    """A deflated PNG in base64: two colors, one transparent, as the package writes it, or RGBA, as the site does."""
    image = Image.fromarray(np.where(inside, 1, 0).astype(np.uint8))
    if palette:
        image.putpalette([0, 0, 0, 255, 255, 255])
    else:
        image = Image.fromarray(np.repeat(np.where(inside, 255, 0).astype(np.uint8)[..., None], 4, axis=2))
    file = io.BytesIO()
    image.save(file, format="PNG", **({"transparency": 0} if palette else {}))
    data = base64.b64encode(zlib.compress(file.getvalue())).decode()
    return {"classTitle": label, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [left, top]}}


def figure(kind, exterior, interior=(), label="cat"):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": label, "geometryType": kind, "points": points}


def write(root, *objects, datasets=("train", "val"), size=(9, 12)):
    classes = [{"title": "cat", "shape": "any", "color": "#FF8000"}, {"title": "dog", "color": "#0080FF"}]
    for name in datasets:
        (root / name / "img").mkdir(parents=True)
        (root / name / "ann").mkdir()
        Image.new("RGB", (12, 9)).save(root / name / "img" / "a.png")
        content = {"size": {"height": size[0], "width": size[1]}, "tags": [], "objects": objects}
        (root / name / "ann" / "a.png.json").write_text(json.dumps(content))
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}))
    return root


@pytest.mark.parametrize("palette", [True, False])
def test_a_project(compare, by_hand, tmp_path, palette):
    inside = np.random.default_rng(0).random((4, 5)) < 0.5
    ring = figure("polygon", [[0, 4], [4, 4], [4, 8], [0, 8]], [[[1, 5], [3, 5], [3, 7], [1, 7]]])
    box = figure("rectangle", [[10, 7], [11, 8]], label="dog")
    root = write(tmp_path, ring, bitmap(inside, 6, 1, "dog", palette), box, figure("line", [[0, 0], [1, 1]]))
    assert detect(root) == "supervisely"
    dataset = Supervisely(root, split="val")
    assert dataset.classes == ("background", "cat", "dog")
    assert dataset.palette.tolist() == [[0, 0, 0], [255, 128, 0], [0, 128, 255]]
    assert dataset.split_note == "1 train, 1 val, as the folders say; left out: 2 objects of type line"
    expected = np.zeros((9, 12), np.uint8)
    expected[4:9, 0:5] = 1
    expected[5:8, 1:4] = 0  # the hole's own outline belongs to it
    expected[1:5, 6:11][inside] = 2
    expected[7:9, 10:12] = 2
    compare("Supervisely", by_hand, [(dataset.mask(0), expected)])


BAD = {
    "another class": ((figure("polygon", [[0, 0]] * 3, label="cow"),), {}, "does not list cow, used by 1 annotation,"),
    "another size": ((), {"size": (9, 11)}, "for 11 x 9 pixels, the image has 12 x 9"),
    "no points": (({"classTitle": "cat", "geometryType": "polygon"},), {}, "it lacks 'points'"),
    "infinite": ((figure("polygon", [[1e999, 0]] * 3),), {}, "points that are not numbers"),
    "plain": (({**bitmap(np.ones((2, 2)), 0, 0), "bitmap": {"data": "AAAA", "origin": [0, 0]}},), {}, "not deflated"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_named(tmp_path, case):
    objects, changes, message = BAD[case]
    with pytest.raises(UserError, match=message):
        Supervisely(write(tmp_path, *objects, datasets=("x",), **changes), split="all").mask(0)
