"""Masks as people keep them: in which folders, under which names, with which values; no option is given."""

import numpy as np
import pytest
from PIL import Image

from twinsight.data.folder import Folder
from twinsight.data.samples import voc_palette
from twinsight.errors import UserError
from twinsight.options.data import FolderOptions


def scene(index):
    """(6, 9) of 0 and 1."""
    return (np.add.outer(np.arange(6), np.arange(9)) < 4 + index).astype(np.uint8)


def save(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, pixels) if file.suffix == ".npy" else Image.fromarray(pixels).save(file)


def pairs(root, images, masks, code=lambda labels: labels, count=4):
    for index in range(count):
        save(root / images.format(index), np.full((6, 9, 3), index, np.uint8))
        save(root / masks.format(index), code(scene(index)))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.jpg", "labels/{}.png"),
        ("img/{}.jpg", "gt/{}.tif"),
        ("a/b/image/{}.png", "a/b/annotations/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("imgs/{}.jpg", "groundtruth/{}_mask.png"),
        ("images/{}_image.jpg", "masks/{}-labels.png"),
        ("{}.jpg", "masks/{}.npy"),
        ("{}.jpg", "{}_gt.png"),
        ("{}.jpg", "{}_mask.npy"),
    ],
)
def test_every_pairing(tmp_path, images, masks, split):
    for role in ("train/", "valid/") if split else ("",):
        pairs(tmp_path, role + images, role + masks)
    data = Folder(tmp_path, "all")
    assert data.classes == ("background", "foreground")
    assert len(data) == (8 if split else 4)
    if split:
        assert data.split_note.startswith("4 train, 4 val, as the folders say")
    for image, mask, _ in data:
        np.testing.assert_array_equal(mask, scene(round(image.mean())))


def test_splits_below_and_within_paths(tmp_path):
    for images, masks in (("images/{}", "labels/{}"), ("{}_images", "{}_labels"), ("city/{}/img", "city/{}/gt")):
        root = tmp_path / images[:4].strip("{}")
        for split in ("train", "val"):
            pairs(root, f"{images.format(split)}/{{}}.jpg", f"{masks.format(split)}/{{}}.png")
        assert [len(Folder(root, split)) for split in ("train", "val")] == [4, 4]


@pytest.mark.parametrize(
    ("code", "values"),
    [
        (lambda labels: labels * np.uint8(255), (0, 255)),
        (lambda labels: labels, (0, 1)),
        (lambda labels: labels.astype(bool), (0, 1)),
        (lambda labels: np.dstack([labels * np.uint8(255)] * 3), (0, 255)),
        (lambda labels: np.dstack([np.full((6, 9, 3), 7, np.uint8), labels * np.uint8(255)]), (0, 255)),
        (lambda labels: np.dstack([np.full((6, 9), 255, np.uint8), labels * np.uint8(255)]), (0, 255)),
    ],
    ids=["0 and 255", "0 and 1", "bool", "three equal channels", "alpha", "gray and alpha"],
)
def test_binary_masks(tmp_path, code, values):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", code)
    data = Folder(tmp_path, "all")
    assert data.classes == ("background", "foreground")
    assert f"masks of 0 and {values[1]}, read as background and foreground" in data.split_note
    for index, (_, mask, _) in enumerate(data):
        np.testing.assert_array_equal(mask, scene(index))
    options = FolderOptions(root=tmp_path)
    settled = options.settled(options.open("train"))
    assert settled.values == values
    save(tmp_path / "images/9.jpg", np.zeros((6, 9, 3), np.uint8))
    save(tmp_path / "masks/9.png", np.full((6, 9), 2, np.uint8))
    assert settled.open("train").classes == ("background", "foreground")  # whatever was added since


def test_two_named_classes_of_0_and_255(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: labels * np.uint8(255))
    (tmp_path / "classes.txt").write_text("ground\nroof\n")
    data = FolderOptions(root=tmp_path, train="all").open("train")
    assert data.classes == ("ground", "roof")
    assert data.split_note.endswith("; masks of 0 and 255, read as ground and roof")
    np.testing.assert_array_equal(data[1].mask, scene(1))
    save(tmp_path / "masks/3.png", scene(3))  # where 1 is a class, 255 is void
    data = Folder(tmp_path, "all")
    assert "read as" not in data.split_note
    assert set(np.unique(data[1].mask)) == {0, 255}


def test_label_images_of_three_equal_channels(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.tif", lambda labels: np.dstack([2 * labels] * 3))
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    data = Folder(tmp_path, "all")
    assert data.split_note.endswith("; masks of three equal channels, read as gray")
    np.testing.assert_array_equal(data[1].mask, 2 * scene(1))
    save(tmp_path / "masks/1.tif", np.dstack([scene(1), scene(1), 2 * scene(1)]))
    with pytest.raises(UserError, match=r"1\.tif: has 3 channels, not class indices"):
        data[1]


@pytest.mark.parametrize("code", [np.int64, np.uint16, np.int32])
def test_arrays_and_label_images(tmp_path, code):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.npy", lambda labels: (2 * labels).astype(code))
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    np.testing.assert_array_equal(Folder(tmp_path, "all")[1].mask, 2 * scene(1))
    save(tmp_path / "masks/0.npy", np.zeros((6, 9, 2), code))
    with pytest.raises(UserError, match=r"0\.npy: is an array of 6 x 9 x 2 .*; save one index per pixel"):
        Folder(tmp_path, "all")[0]


def test_masks_without_names_of_classes(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: 2 * labels + (np.arange(9) > 7).astype(np.uint8))
    with pytest.raises(UserError) as error:
        Folder(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/classes.txt: is missing; write the names of the classes there, 3 lines for the values 0 1 2 in "
        "this order, which its masks hold"
    )
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: 7 * labels)
    with pytest.raises(UserError, match=r"2 lines for the values 0 7 in this order.*, and give --data\.values 0 7"):
        Folder(tmp_path)


def test_colors_without_a_table(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: np.dstack([labels * 128, labels * 64, labels]))
    lines = r"write .*/classes\.csv, with the lines name,r,g,b, NAME,0,0,0, NAME,128,64,1, and a class in place"
    with pytest.raises(UserError, match=rf"masks/0\.png: shows classes in colors, and nothing says .*{lines}"):
        Folder(tmp_path)


def test_vocs_colors_without_a_table(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: voc_palette(3)[2 * labels])
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\n")
    data = Folder(tmp_path, "all")
    assert data.split_note.endswith("; masks in VOC's colors")
    np.testing.assert_array_equal(data[1].mask, 2 * scene(1))
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda labels: np.dstack([labels * 200, labels * 64, labels]))
    with pytest.raises(UserError, match=r"color 200,64,1, which VOC's palette gives to no class; add the class"):
        Folder(tmp_path, "all")[0]


def test_numbers_of_objects_are_no_classes(tmp_path):
    for index in range(6):
        objects = np.zeros((20, 60), np.uint8)
        for number in range(1, index + 3):
            objects[2:8, 7 * number : 7 * number + 5] = number
        save(tmp_path / f"images/{index}.jpg", np.zeros((20, 60, 3), np.uint8))
        save(tmp_path / f"masks/{index}.png", objects)
    with pytest.raises(UserError, match=r"masks/0\.png: numbers its objects from 1 to 2, .*\(all objects of one kind"):
        Folder(tmp_path)


def test_two_pairings_are_refused_and_one_may_be_chosen(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png")
    pairs(tmp_path, "images/{}.jpg", "labels/{}.png", lambda labels: 1 - labels)
    with pytest.raises(UserError) as error:
        Folder(tmp_path)
    both = f"{tmp_path}/labels/0.png and {tmp_path}/masks/0.png"
    choice = f"choose by --data.masks FOLDER, {tmp_path}/labels or {tmp_path}/masks"
    assert f"{tmp_path}/images/0.jpg has two masks, {both}; {choice}" in str(error.value)
    np.testing.assert_array_equal(Folder(tmp_path, "all", tmp_path / "masks")[0].mask, scene(0))
    np.testing.assert_array_equal(Folder(tmp_path, "all", tmp_path / "labels")[0].mask, 1 - scene(0))


def test_vocs_instances_are_left_alone(tmp_path):
    pairs(tmp_path, "JPEGImages/{}.jpg", "SegmentationClass/{}.png")
    pairs(tmp_path, "JPEGImages/{}.jpg", "SegmentationObject/{}.png", lambda labels: labels * 9)
    assert [entry.mask.parent.name for entry in Folder(tmp_path, "all").entries] == 4 * ["SegmentationClass"]
