"""labelme 6.3.1 saves shapes of every kind; what it draws from its own file is what is read, pixel for pixel."""

import json
from base64 import b64encode
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from twinsight.data.checkup.mask_facts import is_own_mask
from twinsight.data.exports.labelme import Labelme
from twinsight.errors import UserError
from twinsight.options.exports import LabelmeOptions


def test_every_shape_is_drawn_as_labelme_draws_it(tool, compare, tmp_path):
    tool("write_labelme.py", tmp_path)
    dataset = Labelme(tmp_path, split="all")
    assert dataset.classes == ("background", "road", "car", "tree")
    assert Counter(entry.id.partition("/")[0] for entry in dataset.entries) == {"field": 9, "street": 9}
    truths = [np.load(entry.image.with_suffix(".npy")) for entry in dataset.entries]
    compare("labelme JSON", "labelme 6.3.1", ((mask, truth) for (_, mask, _), truth in zip(dataset, truths)))
    assert {label for truth in truths for label in np.unique(truth).tolist()} == {0, 1, 2, 3, 255}
    before = {entry.id: dataset[index] for index, entry in enumerate(dataset.entries)}
    embedding = [entry for entry in dataset.entries if json.loads(entry.mask.read_text())["imageData"]]
    for entry in embedding:
        entry.image.unlink()
    dataset = Labelme(tmp_path, split="all")
    assert (len(embedding), len(dataset)) == (6, 18)
    for image, mask, id in dataset:
        np.testing.assert_array_equal(image, before[id].image)
        np.testing.assert_array_equal(mask, before[id].mask)


def annotate(root, *shapes, **changes):
    Image.new("RGB", (8, 6)).save(root / "a.png")
    content = {"imagePath": "a.png", "imageData": None, "imageHeight": 6, "imageWidth": 8, "shapes": shapes}
    (root / "a.json").write_text(json.dumps(content | changes))


SQUARE = {"label": "cat", "points": [[1, 1], [4, 1], [4, 3], [1, 3]], "shape_type": "polygon"}
BAD = {
    "a video's track": ({"label": "cat", "points": [[1, 1]], "shape_type": "points"}, "of type points"),
    "two points": ({"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "polygon"}, "a polygon of 2 points"),
    "no points": ({"label": "cat", "shape_type": "polygon"}, "it lacks 'points'"),
    "infinite": ({"label": "cat", "points": [[1e999, 1]] * 3, "shape_type": "polygon"}, "not numbers"),
    "no PNG": ({"label": "cat", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "AAAA"}, "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_shape_that_cannot_be_drawn_is_named(tmp_path, case):
    shape, message = BAD[case]
    annotate(tmp_path, shape)
    with pytest.raises(UserError, match=f"a.json: .*{message}"):
        Labelme(tmp_path, split="all").mask(0)


def test_what_contradicts_itself_is_named(tmp_path):
    annotate(tmp_path, SQUARE, imageHeight=7)
    with pytest.raises(UserError, match="for 8 x 7 pixels, the image has 8 x 6"):
        Labelme(tmp_path, split="all").mask(0)
    annotate(tmp_path, SQUARE, SQUARE)
    (tmp_path / "labels.txt").write_text("dog\n")
    with pytest.raises(UserError, match=r"labels.txt: does not list cat, used by 2 annotations, such as in .*a.json"):
        Labelme(tmp_path)
    (tmp_path / "labels.txt").unlink()
    (tmp_path / "b.json").write_text((tmp_path / "a.json").read_text())
    with pytest.raises(UserError, match=r"b.json: annotates .*a.png, as .*a.json does; remove one of the two"):
        Labelme(tmp_path)
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg")
    (tmp_path / "b.json").write_text((tmp_path / "a.json").read_text().replace("a.png", "a.jpg"))
    with pytest.raises(
        UserError, match=r"b.json: annotates .*a.jpg, and .*a.json annotates .*a.png, which differs only"
    ):
        Labelme(tmp_path)
    (tmp_path / "b.json").unlink()
    annotate(tmp_path, SQUARE, imagePath="gone.png")
    with pytest.raises(UserError, match=r"a.json: its image gone.png is not below"):
        Labelme(tmp_path)


def test_an_embedded_image_is_read_as_a_file_is(tmp_path):
    annotate(tmp_path, SQUARE)
    picture = b64encode((tmp_path / "a.png").read_bytes()).decode()
    (tmp_path / "a.png").unlink()
    annotate_alone = json.loads((tmp_path / "a.json").read_text()) | {"imageData": picture}
    (tmp_path / "a.json").write_text(json.dumps(annotate_alone))
    dataset = LabelmeOptions(root=tmp_path, train="all").open("train")
    assert dataset[0].image.shape == (6, 8, 3)
    assert is_own_mask(dataset.entries[0]) is False
    dataset.read_as(max_megapixels=4e-5)
    for read in (dataset.image, dataset.mask):
        with pytest.raises(UserError, match=r"a\.json: has 4\.8e-05 megapixels"):
            read(0)
    (tmp_path / "a.json").write_text(json.dumps(annotate_alone | {"imageData": "AAAA"}))
    with pytest.raises(UserError, match=r"a\.json: cannot be read as an image"):
        Labelme(tmp_path, split="all")[0]
