"""COCO's JSON by datumaro 1.13.12, supervision 0.31.2 and by hand, against what went in or pycocotools 2.0.11 draws."""

import json

import numpy as np
import pytest
from PIL import Image

from twinsight.data.exports.coco import Coco
from twinsight.errors import UserError
from twinsight.options.detect import detect


def pairs(truth, *datasets, prefix=""):
    for dataset in datasets:
        for entry, (_, mask, _) in zip(dataset.entries, dataset):
            yield mask, np.load(truth / f"{prefix}{entry.image.stem}.npy")


@pytest.mark.parametrize("kind", ["instances", "stuff", "panoptic"])
def test_masks_that_datumaro_exports_come_back(tool, compare, tmp_path, kind):
    root = tmp_path / "export"
    tool("write_coco.py", root, kind)
    assert detect(root) == "coco"
    train, val = (Coco(root, split=split) for split in ("train", "val"))
    assert train.classes == (("road", "car", "tree") if kind == "panoptic" else ("background", "road", "car", "tree"))
    assert (len(train), len(val)) == (6 - (kind == "panoptic"), 2)  # datumaro writes no PNG for an image of nothing
    compare(f"COCO {kind}", "datumaro 1.13.12", pairs(root / "truth", train, val))


def test_regions_are_drawn_as_pycocotools_draws_them(tool, compare, by_hand, tmp_path):
    tool("write_coco.py", tmp_path, "overlapping")
    for overlaps in ("area", "order"):
        dataset = Coco(tmp_path, split="all", overlaps=overlaps)
        assert len(dataset) == 8
        assert dataset.classes == ("background", "car", "tree", "road")
        drawn = f"{by_hand}, drawn by pycocotools 2.0.11"
        compare(f"COCO, overlaps by {overlaps}", drawn, pairs(tmp_path / "truth", dataset, prefix=f"{overlaps}-"))


def test_what_supervision_writes(tool, compare, tmp_path):
    """Its polygons miss a row and a column: pycocotools draws what counts."""
    tool("write_coco.py", tmp_path, "supervision")
    assert detect(tmp_path) == "coco"
    dataset = Coco(tmp_path, split="all")
    assert dataset.classes == ("background", "road", "car", "tree")
    drawn = "supervision 0.31.2, drawn by pycocotools 2.0.11"
    compare("COCO", drawn, pairs(tmp_path / "truth", dataset, prefix="area-"))


CATEGORIES = ({"id": 1, "name": "cat"},)
SQUARE = [[1, 1, 4, 1, 4, 3, 1, 3]]


def write(root, annotations, categories=CATEGORIES, name="_annotations.coco.json"):
    root.mkdir(exist_ok=True, parents=True)
    Image.new("RGB", (8, 6)).save(root / "a.jpg")
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": annotations, "categories": categories}
    (root / name).write_text(json.dumps(content))


def one(**changes):
    return {"id": 1, "image_id": 1, "category_id": 1, "segmentation": SQUARE} | changes


def test_roboflow_states_splits_and_a_group_of_all_classes(tmp_path):
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "pets"},
    ]
    for split in ("train", "valid", "test"):
        write(tmp_path / split, [one(), one(segmentation=[], bbox=[0, 0, 1, 1])], categories)
    dataset = Coco(tmp_path, split="val")
    assert dataset.classes == ("background", "cat")
    assert [entry.id for entry in dataset.entries] == ["valid/a"]
    assert dataset.split_note.startswith("1 train, 1 val, 1 test")
    assert dataset.split_note.endswith("left out: 3 annotations without a mask")


BAD = {
    "a missing category": (
        [one(), one(category_id=7)],
        "does not list 7, used by 1 annotation, such as in a; add it",
    ),
    "boxes alone": ([one(segmentation=[])], "holds no masks, only boxes or points"),
    "no list": ({"a": 1}, "annotations that cannot be read"),
    "text": ([one(segmentation=[["x"] * 6])], "cannot be read in 1 segmentation, such as in annotation 1 of a"),
    "a word": (
        [one(), one(segmentation="abc")],
        "annotation 1 of a \\('a' in place of a polygon, which is a list of x",
    ),
    "an odd count": ([one(segmentation=[[1] * 7])] * 2, "in 2 segmentations, .* \\(a polygon of 7 numbers, which is"),
    "no polygon": ([one(segmentation=[1, 1, 4, 1, 4, 3])], "\\(1 in place of a polygon"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_named(tmp_path, case):
    annotations, message = BAD[case]
    write(tmp_path, annotations)
    with pytest.raises(UserError, match=message):
        Coco(tmp_path)


def test_short_polygons_are_counted_as_such(tmp_path):
    write(
        tmp_path, [one(), one(segmentation=[[1, 1, 4, 3], *SQUARE]), one(segmentation=[[1, 1]]), one(segmentation=[])]
    )
    note = Coco(tmp_path, split="all").split_note
    assert note.endswith("left out: 2 polygons of fewer than 3 points, 1 annotation without a mask")


@pytest.mark.parametrize("sized", ["the image", "the runs"])
def test_masks_of_another_size_are_refused(tmp_path, sized):
    """Runs of 6 x 8 pixels fill 8 x 6 too."""
    file = tmp_path / "_annotations.coco.json"
    write(tmp_path, [one(segmentation={"size": [8, 6] if sized == "the runs" else [6, 8], "counts": [8, 2, 38]})])
    content = json.loads(file.read_text())
    content["images"][0] |= {"height": 6, "width": 8} if sized == "the runs" else {"height": 12, "width": 16}
    file.write_text(json.dumps(content))
    stated = "6 x 8" if sized == "the runs" else "16 x 12"
    with pytest.raises(UserError, match=rf"coco.json: .*they are for {stated} pixels, the image has 8 x 6"):
        Coco(tmp_path, split="all").mask(0)


def test_images_that_are_listed_twice(tmp_path):
    write(tmp_path, [one()])
    file = tmp_path / "_annotations.coco.json"
    content = json.loads(file.read_text())
    Image.new("RGB", (8, 6)).save(tmp_path / "b.jpg")
    image = content["images"][0]
    file.write_text(json.dumps(content | {"images": [image, image | {"id": 2}]}))
    with pytest.raises(UserError, match=r"coco\.json: lists .*a\.jpg twice; remove one of the two"):
        Coco(tmp_path)
    file.write_text(json.dumps(content | {"images": [image, image | {"file_name": "b.jpg"}]}))
    with pytest.raises(UserError, match=r"coco\.json: gives a and b one image id, 1; change one"):
        Coco(tmp_path)


def test_splits_by_the_names_of_files(tmp_path):
    for split in ("train", "val"):
        write(tmp_path, [one()], name=f"instances_{split}2017.json")
    assert Coco(tmp_path).split_note == "1 train, 1 val, as the file names say"


def test_one_id_for_two_categories_is_refused(tmp_path):
    """The second would take the place of the first, whose annotations it would get."""
    write(tmp_path, [one()], [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}])
    with pytest.raises(UserError, match="gives cat and dog one category id, 1; change one"):
        Coco(tmp_path)


@pytest.mark.parametrize("counts", ["~~", "", [1, 2], [-5, 53], "0" * 40])
def test_runs_that_do_not_fill_the_image_are_named(tmp_path, counts):
    write(tmp_path, [one(segmentation={"size": [6, 8], "counts": counts})])
    with pytest.raises(UserError, match=r"_annotations.coco.json: .*cannot be read"):
        Coco(tmp_path, split="all").mask(0)


def test_several_kinds_are_a_choice(tmp_path):
    for kind in ("instances", "stuff"):
        write(tmp_path, [one()], name=f"{kind}_train2017.json")
    with pytest.raises(UserError, match=r"choose by --data.kind instances or --data.kind stuff"):
        Coco(tmp_path)
    assert len(Coco(tmp_path, split="all", kind="stuff")) == 1
