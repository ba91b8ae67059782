"""Public data sets in miniature, in the layout and with the numbers of their archives."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from twinsight.data.masks import write_mask
from twinsight.data.public import ade20k, cityscapes, loveda, pascal_context, potsdam
from twinsight.data.samples import VOID, voc_palette
from twinsight.data.voc import CLASSES as VOC_CLASSES
from twinsight.errors import UserError
from twinsight.options.data import DATA
from twinsight.options.detect import detect

SIZE = (5, 3)


def image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE).save(file)


def mask(file: Path, values) -> np.ndarray:
    """A gray PNG of 5 x 3 pixels that holds these values over and over."""
    stored = np.resize(np.array(values, np.uint8), SIZE[::-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(file)
    return stored


def lay_cityscapes(root: Path):
    for split, city in (("train", "aachen"), ("train", "ulm"), ("val", "lindau")):
        stem = f"{split}/{city}/{city}_000000_000019"
        image(root / "leftImg8bit" / f"{stem}_leftImg8bit.png")
        mask(root / "gtFine" / f"{stem}_gtFine_labelIds.png", [7, 33, 0, 18, 31, 255])
        mask(root / "gtFine" / f"{stem}_gtFine_instanceIds.png", [7])
        image(root / "gtFine" / f"{stem}_gtFine_color.png")
    return {"train": 2, "val": 1}, [0, 18, VOID, VOID, 16, VOID]


def lay_kitti(root: Path):
    for i in range(10):
        image(root / f"training/image_2/0000{i:02d}_10.png")
        mask(root / f"training/semantic/0000{i:02d}_10.png", [7, 33, 6])
    image(root / "testing/image_2/000000_10.png")
    return {"all": 10}, [0, 18, VOID]


def lay_ade20k(root: Path):
    for split, folder, count in (("train", "training", 3), ("val", "validation", 2)):
        for i in range(count):
            image(root / f"ADEChallengeData2016/images/{folder}/ADE_{split}_{i:08d}.jpg")
            mask(root / f"ADEChallengeData2016/annotations/{folder}/ADE_{split}_{i:08d}.png", [0, 1, 150])
    return {"train": 3, "val": 2}, [VOID, 0, 149]


def lay_loveda(root: Path):
    for split, scene, count in (("Train", "Urban", 2), ("Train", "Rural", 1), ("Val", "Urban", 1), ("Val", "Rural", 1)):
        for i in range(count):
            image(root / f"{split}/{scene}/images_png/{i}.png")
            mask(root / f"{split}/{scene}/masks_png/{i}.png", [0, 1, 7])
    return {"train": 3, "val": 2, "all": 5}, [VOID, 0, 6]


def lay_potsdam(root: Path):
    for tile in ("2_10", "7_9", "2_13"):
        image(root / f"2_Ortho_RGB/top_potsdam_{tile}_RGB.tif")
        colors = np.resize(np.array(potsdam.COLORS, np.uint8), (*SIZE[::-1], 3))
        file = root / f"5_Labels_all/top_potsdam_{tile}_label.tif"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(colors).save(file)
    return {"train": 2, "val": 1, "all": 3}, [0, 1, 2, 3, 4, 5]


def lay_vistas(root: Path):
    for split in ("training", "validation"):
        image(root / split / "images/a.jpg")
        mask(root / split / "v1.2/labels/a.png", [0, 1, 2])
    labels = [
        {"name": "animal--bird", "readable": "Bird", "color": [165, 42, 42], "evaluate": True},
        {"name": "void--car-mount", "readable": "Car Mount", "color": [32, 32, 32], "evaluate": False},
        {"name": "object--vehicle--car", "readable": "Car", "color": [0, 0, 142], "evaluate": True},
    ]
    (root / "config_v1.2.json").write_text(json.dumps({"labels": labels}))
    return {"train": 1, "val": 1}, [0, VOID, 1]


def lay_context(root: Path):
    for i, split in enumerate(("train", "val", "val")):
        image(root / f"VOC2010/JPEGImages/2008_00000{i}.jpg")
        labels = np.resize(np.array([2, 458, 1, 397]), SIZE[::-1])
        (root / "VOC2010/trainval").mkdir(exist_ok=True)
        savemat(root / f"VOC2010/trainval/2008_00000{i}.mat", {"LabelMap": labels.astype(np.uint16)})
        lists = root / "VOC2010/ImageSets/Main"
        lists.mkdir(parents=True, exist_ok=True)
        with (lists / f"{split}.txt").open("a") as file:
            file.write(f"2008_00000{i}\n")
    image(root / "VOC2010/JPEGImages/2009_000000.jpg")  # of VOC 2010, without a mask
    (root / "VOC2010/ImageSets/Main/train.txt").open("a").write("2009_000000\n")
    names = list(pascal_context.CLASSES)
    return {"train": 1, "val": 2}, [0, 58, VOID, names.index("table")]


def lay_sbd(root: Path):
    voc = root / "VOCdevkit/VOC2012"
    for name, split in (("a", "train"), ("b", "val")):
        image(voc / f"JPEGImages/{name}.jpg")
        (voc / "SegmentationClass").mkdir(exist_ok=True)
        stored = np.resize(np.array([0, 20, 255], np.uint8), SIZE[::-1])
        write_mask(voc / f"SegmentationClass/{name}.png", stored, voc_palette(21))
        lists = voc / "ImageSets/Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text(f"{name}\n")
    own = root / "benchmark_RELEASE/dataset"
    for name in "abcd":  # a has a mask in VOC too, b belongs to VOC's val
        image(own / f"img/{name}.jpg")
        (own / "cls").mkdir(exist_ok=True)
        stored = np.resize(np.array([0, 20, 15], np.uint8), SIZE[::-1])
        savemat(own / f"cls/{name}.mat", {"GTcls": {"Segmentation": stored}})
    (own / "train.txt").write_text("a\nb\nc\n")
    (own / "val.txt").write_text("d\n")
    return {"train": 3, "val": 1}, [0, 20, VOID]


LAYOUTS = {
    "cityscapes": lay_cityscapes, "kitti": lay_kitti, "ade20k": lay_ade20k, "loveda": lay_loveda,
    "potsdam": lay_potsdam, "mapillary-vistas": lay_vistas, "pascal-context": lay_context, "sbd": lay_sbd,
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_splits_and_labels(compare, by_hand, tmp_path, name):
    counts, labels = LAYOUTS[name](tmp_path)
    truth = np.resize(np.array(labels, np.uint8), (3, 5))
    pairs = []
    for split, count in counts.items():
        dataset = DATA[name](root=tmp_path, train=split).open("train")
        assert len(dataset) == count
        assert dataset.palette.shape == (len(dataset.classes), 3)
        assert dataset[0].image.shape == (3, 5, 3)
        if split != "all" or len(counts) == 1:
            pairs += [(sample.mask, truth) for sample in ([dataset[0]] if name == "sbd" else dataset)]
    compare(f"`{name}`", by_hand, pairs)


@pytest.mark.parametrize("name", LAYOUTS)
def test_recognized(tmp_path, name):
    LAYOUTS[name](tmp_path)
    if name == "sbd":
        with pytest.raises(UserError, match="as PASCAL VOC 2012 and the Semantic Boundaries Dataset; choose by"):
            detect(tmp_path)
    else:
        assert detect(tmp_path) == name


@pytest.mark.parametrize("name", LAYOUTS)
def test_elsewhere_and_of_no_split(tmp_path, name):
    with pytest.raises(UserError, match=r"unpack|name the folder"):
        DATA[name](root=tmp_path).open("train")
    LAYOUTS[name](tmp_path)
    with pytest.raises(UserError, match="split minival"):
        DATA[name](root=tmp_path, train="minival").open("train")


def test_masks_of_voc_come_before_those_of_sbd(tmp_path):
    lay_sbd(tmp_path)
    train = DATA["sbd"](root=tmp_path).open("train")
    assert {entry.id: entry.mask.suffix for entry in train.entries} == {"a": ".png", "c": ".mat", "d": ".mat"}
    assert set(np.unique(train[1].mask)) == {0, 15, 20}
    assert train.classes == VOC_CLASSES


def test_what_is_no_number_is_named(tmp_path):
    lay_ade20k(tmp_path)
    file = tmp_path / "ADEChallengeData2016/annotations/training/ADE_train_00000000.png"
    mask(file, [151])
    with pytest.raises(UserError, match=r"ADE_train_00000000.png: holds 151, no number of ADE20K; unpack"):
        DATA["ade20k"](root=tmp_path).open("train")[0]


def test_a_mask_that_is_missing_is_named(tmp_path):
    lay_cityscapes(tmp_path)
    (tmp_path / "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError, match=r"ulm_000000_000019_leftImg8bit.png: has no mask \(1 file without\)"):
        DATA["cityscapes"](root=tmp_path).open("train")


def test_counts_of_classes():
    assert len(ade20k.CLASSES) == len(set(ade20k.CLASSES)) == 150
    assert len(pascal_context.CLASSES) == 59
    assert list(pascal_context.CLASSES) == sorted(pascal_context.CLASSES)
    assert sorted(pascal_context.CLASSES.values()) == list(pascal_context.CLASSES.values())
    assert len(cityscapes.CLASSES) == 19
    assert len(loveda.CLASSES) == 7


def test_cityscapes_are_numbered_as_its_scripts_number_them(tool, tmp_path):
    """cityscapesScripts 2.3.0; the test data have no license plates, its label -1."""
    tool("write_cityscapes.py", tmp_path / "labels.json")
    labels = json.loads((tmp_path / "labels.json").read_text())
    counted = [label for label in labels if label["trainId"] not in (-1, VOID)]
    expected = {label["name"]: (label["id"], tuple(label["color"])) for label in counted}
    assert list(cityscapes.CLASSES.items()) == list(expected.items())
    assert [label["trainId"] for label in counted] == list(range(19))
    assert {label["id"] for label in labels} - {-1} == set(cityscapes.VOID)


def test_towns_only(tmp_path):
    lay_loveda(tmp_path)
    assert len(DATA["loveda"](root=tmp_path, scene="urban").open("train")) == 2


def test_trainaug_as_others_prepare_it(tmp_path):
    lay_sbd(tmp_path)
    voc = tmp_path / "VOCdevkit/VOC2012"
    image(voc / "JPEGImages/c.jpg")
    mask(voc / "SegmentationClassAug/c.png", [15])
    (voc / "ImageSets/Segmentation/trainaug.txt").write_text("c\n")
    assert set(np.unique(DATA["voc"](root=tmp_path, train="trainaug").open("train")[0].mask)) == {15}
