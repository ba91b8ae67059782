"""Label Studio's JSON, with masks as label-studio-sdk 2.1.2 decodes and converts them."""

import json

import numpy as np
import pytest
from PIL import Image

from twinsight.data.exports.label_studio import LabelStudio
from twinsight.errors import UserError
from twinsight.options.detect import detect


@pytest.mark.parametrize("form", ["", "min"])
def test_regions_are_what_the_sdk_makes_of_them(tool, compare, tmp_path, form):
    tool("write_label_studio.py", tmp_path, *form.split())
    assert detect(tmp_path) == "label-studio"
    dataset = LabelStudio(tmp_path, split="all")
    assert dataset.classes == ("background", "car", "road", "tree")
    assert len(dataset) == 5
    assert dataset.split_note.endswith("which images were turned in Label Studio") == (form == "min")
    names = [entry.image.stem.rpartition("-")[2] for entry in dataset.entries]
    pairs = ((mask, np.load(tmp_path / "truth" / f"{name}.npy")) for name, (_, mask, _) in zip(names, dataset))
    compare(f"Label Studio JSON{'-MIN' if form else ''}", "label-studio-sdk 2.1.2", pairs)


def write(root, *results, **changes):
    Image.new("RGB", (20, 10)).save(root / "a.jpg")
    whole = [{"original_width": 20, "original_height": 10, "image_rotation": 0, **result} for result in results]
    task = {"id": 1, "data": {"image": "/data/local-files/?d=x/a.jpg"}, "annotations": [{"result": whole}]}
    (root / "tasks.json").write_text(json.dumps([task | changes]))
    return root


def region(kind, **value):
    return {"type": kind, "value": value}


SQUARE = region("rectanglelabels", x=10, y=20, width=40, height=50, rotation=0, rectanglelabels=["cat"])


def test_rectangles_ellipses_and_what_covers_nothing(tmp_path):
    ellipse = region("ellipselabels", x=80, y=50, radiusX=15, radiusY=30, rotation=0, ellipselabels=["dog"])
    point = region("keypointlabels", x=1, y=1, width=1, keypointlabels=["cat"])
    quarter = region("rectangle", x=60, y=0, width=10, height=20, rotation=90, labels=["cat"])
    dataset = LabelStudio(write(tmp_path, SQUARE, ellipse, point, quarter), split="all")
    assert dataset.classes == ("background", "cat", "dog")
    assert dataset.split_note.endswith("left out: 1 result of type keypointlabels")
    mask = dataset.mask(0)
    expected = np.zeros((10, 20), np.uint8)
    expected[2:7, 2:10] = 1  # from 10 to 50 % of 20 pixels, from 20 to 70 % of 10
    expected[0:2, 10:12] = 1  # 2 x 2 pixels, turned clockwise about their upper left corner at 12, 0
    y, x = np.mgrid[:10, :20] + 0.5
    inside = np.hypot((x - 16) / 3, (y - 5) / 3) < 1
    np.testing.assert_array_equal(mask == 1, expected == 1)
    assert np.count_nonzero((mask == 2) != inside) <= 6


BAD = {
    "another size": ({**SQUARE, "original_width": 21}, "a.jpg was turned or had another size, 21 x 10"),
    "a short brush": (region("brushlabels", rle=[0, 0, 0, 9, 1], brushlabels=["cat"]), "a brush that is not of"),
    "no list": (region("brushlabels", rle="abc", brushlabels=["cat"]), "cannot be read"),
    "no numbers": (region("polygonlabels", points=[["x", 1]], polygonlabels=["cat"]), "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_regions_are_named(tmp_path, case):
    result, message = BAD[case]
    with pytest.raises(UserError, match=rf"tasks.json: .*{message}"):
        LabelStudio(write(tmp_path, result), split="all").mask(0)


def test_tasks_that_nobody_annotated_are_no_background(tmp_path):
    with pytest.raises(UserError, match="holds no annotated tasks"):
        LabelStudio(write(tmp_path, annotations=[{"was_cancelled": True, "result": []}]))


def test_json_min_does_not_say_what_lies_on_top(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg")
    value = {**SQUARE["value"], "original_width": 20, "original_height": 10}
    record = {"image": "/data/upload/1/a.jpg", "id": 1, "brush": [value], "box": [value], "annotation_id": 3}
    (tmp_path / "min.json").write_text(json.dumps([record]))
    with pytest.raises(UserError, match=r"min.json: has regions of brush and box .*; export \"JSON\" instead"):
        LabelStudio(tmp_path)
