"""A folder given to --data is read as the export that it is; the tests of each format say whether pixels are right."""

import json

import numpy as np
import pytest
from PIL import Image

from twinsight.errors import UserError
from twinsight.options.commands import DataCheck
from twinsight.options.detect import detect
from twinsight.options.exports import LabelmeOptions
from twinsight.options.parse import parse


def labelme(root):
    root.mkdir()
    for name in "ab":
        Image.new("RGB", (8, 6)).save(root / f"{name}.jpg")
        shape = {"label": "cat", "points": [[1, 1], [4, 1], [4, 3], [1, 3]], "shape_type": "polygon"}
        content = {"imagePath": f"{name}.jpg", "imageHeight": 6, "imageWidth": 8, "shapes": [shape]}
        (root / f"{name}.json").write_text(json.dumps(content))
    Image.new("RGB", (8, 6)).save(root / "c.jpg")
    return root


def test_labelme(tmp_path):
    root = labelme(tmp_path / "street")
    assert detect(root) == "labelme"
    options = parse(DataCheck, "data check", [str(root)]).data
    assert options == LabelmeOptions(root=root)
    both = LabelmeOptions(root=root, train="all").open("train")
    assert both.classes == ("background", "cat")
    assert [entry.id for entry in both.entries] == ["a", "b"]
    assert "without annotations and left out: 1" in both.split_note
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 1:5] = 1
    for _, mask, _ in both:
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("name", ["annotations.json", "annotations.xml", "train/_classes.csv"])
def test_an_empty_file_of_annotations_is_named(tmp_path, name):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "train/a.jpg")
    (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        detect(tmp_path)
    way = f"export it again, or read the images without it by --data folder --data.root {tmp_path}"
    assert str(error.value) == f"{tmp_path / name}: is empty; {way}"


def test_coco_whose_annotations_come_first(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg")
    each = {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 3]], "area": 3, "iscrowd": 0}
    content = {
        "annotations": [{"id": i} | each for i in range(2000)],
        "categories": [{"id": 1, "name": "cat"}],
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
    }
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps(content))
    assert file.read_text().index('"images"') > 1 << 16
    assert detect(tmp_path) == "coco"
