"""Miniatures of both releases, laid out as the official archives unpack."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from twinsight.data.coco_stuff import CLASSES, CocoStuff
from twinsight.data.samples import Entry
from twinsight.errors import UserError

# Official label ids without a segmentation (cocostuff/README.md, "Label Names & Indices").
GAPS = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91]
LABELS = [label for label in range(1, 183) if label not in GAPS]


def labels_map(seed):
    """(19, 9) official labels with every one of the 171 and no other."""
    return np.random.default_rng(seed).permutation(np.array(LABELS, np.uint8)).reshape(19, 9)


def expected(labels):
    return np.array([[255 if label == 0 else LABELS.index(label) for label in row] for row in labels])


def write_164k(images, masks, per_split=2):
    for split, first in (("train2017", 9), ("val2017", 139)):
        (images / split).mkdir(parents=True, exist_ok=True)
        (masks / split).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + per_split):
            labels = labels_map(i)
            labels[0, :3] = 0
            Image.new("RGB", (9, 19)).save(images / split / f"{i:012d}.jpg")
            Image.fromarray(labels - np.uint8(1)).save(masks / split / f"{i:012d}.png")


def write_10k(root, dtype=np.uint8):
    for name in ("images", "annotations", "imageLists"):
        (root / name).mkdir(parents=True)
    names = [f"COCO_train2014_{i:012d}" for i in (9, 25, 30)]
    for i, name in enumerate(names):
        labels = labels_map(i).astype(dtype)
        labels[0, :3] = 0
        Image.new("RGB", (9, 19)).save(root / "images" / f"{name}.jpg")
        savemat(
            root / "annotations" / f"{name}.mat",
            {"S": labels, "names": np.array(["x"], object), "captions": "y"},
        )
    for split, lines in (("train", names[:2]), ("test", names[2:]), ("all", names)):
        (root / "imageLists" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return names


def test_classes_are_80_things_and_91_stuffs():
    assert len(CLASSES) == len(set(CLASSES)) == 171
    named = {0: "person", 11: "stop sign", 79: "toothbrush", 80: "banner", 170: "wood"}
    assert {index: CLASSES[index] for index in named} == named


LAYOUTS = [
    ("images", "stuffthingmaps"),
    ("images", "annotations"),
    (".", "stuffthingmaps"),
    (".", "."),  # both archives unpacked in one place
]


@pytest.mark.parametrize(("images", "masks"), LAYOUTS)
def test_164k(tmp_path, images, masks):
    write_164k(tmp_path / images, tmp_path / masks)
    train, val = CocoStuff(tmp_path, "train"), CocoStuff(tmp_path, "val")
    assert [entry.id for entry in train.entries] == ["000000000009", "000000000010"]
    assert [entry.id for entry in val.entries] == ["000000000139", "000000000140"]
    for dataset, first in ((train, 9), (val, 139)):
        for i, (image, mask, _) in enumerate(dataset):
            labels = labels_map(first + i)
            labels[0, :3] = 0
            assert image.shape == (19, 9, 3)
            assert mask.dtype == np.uint8
            np.testing.assert_array_equal(mask, expected(labels))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_10k(tmp_path, dtype):
    names = write_10k(tmp_path, dtype)
    train, val = (CocoStuff(tmp_path, split, "10k") for split in ("train", "val"))
    assert [entry.id for entry in train.entries] == names[:2]
    assert [entry.id for entry in val.entries] == names[2:]
    for i, (_, mask, _) in enumerate([*train, *val]):
        labels = labels_map(i)
        labels[0, :3] = 0
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, expected(labels))


def test_both_releases_agree(tmp_path):
    write_164k(tmp_path / "images", tmp_path / "stuffthingmaps")
    new = CocoStuff(tmp_path)
    labels = np.asarray(Image.open(new.entries[0].mask)).astype(int) + 1
    savemat(tmp_path / "a.mat", {"S": np.where(labels == 256, 0, labels).astype(np.uint8)})
    np.testing.assert_array_equal(
        new.decode_mask(Entry("a", tmp_path / "a.jpg", tmp_path / "a.mat")), new.decode_mask(new.entries[0])
    )


@pytest.mark.parametrize("label", [*GAPS, 183, 255])
def test_a_label_that_is_none_is_refused(tmp_path, label):
    write_164k(tmp_path / "images", tmp_path / "stuffthingmaps")
    path = tmp_path / "stuffthingmaps/train2017/000000000009.png"
    Image.new("L", (9, 19), label - 1).save(path)
    with pytest.raises(UserError, match=rf"000000000009\.png: holds {label - 1}, not a COCO-Stuff label"):
        CocoStuff(tmp_path)[0]


@pytest.mark.parametrize("label", [183, 256, 300])
def test_a_label_beyond_the_last_is_refused(tmp_path, label):
    savemat(tmp_path / "a.mat", {"S": np.full((19, 9), label, np.uint16)})
    write_10k(tmp_path / "root")
    with pytest.raises(UserError, match=r"a\.mat: its field S"):
        CocoStuff(tmp_path / "root", "val", "10k").decode_mask(Entry("a", tmp_path / "a.jpg", tmp_path / "a.mat"))


def test_a_broken_annotation_is_refused(tmp_path):
    names = write_10k(tmp_path)
    savemat(tmp_path / f"annotations/{names[1]}.mat", {"T": np.zeros((19, 9))})
    path = tmp_path / f"annotations/{names[0]}.mat"
    path.write_bytes(path.read_bytes()[:150])
    dataset = CocoStuff(tmp_path, "train", "10k")
    for index in (0, 1):
        with pytest.raises(UserError, match=rf"{names[index]}\.mat: cannot be read"):
            dataset[index]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"images/train2017: .*unpack train2017\.zip"):
        CocoStuff(tmp_path)
    with pytest.raises(UserError, match=r"imageLists/test\.txt.*cocostuff-10k"):
        CocoStuff(tmp_path, "val", "10k")
    write_164k(tmp_path, tmp_path / "stuffthingmaps")
    (tmp_path / "stuffthingmaps/val2017/000000000139.png").unlink()
    with pytest.raises(UserError, match=r"000000000139\.jpg: has no mask \(1 unmatched"):
        CocoStuff(tmp_path, "val")
    for path in (tmp_path / "stuffthingmaps/train2017").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"stuffthingmaps/train2017: .*stuffthingmaps_trainval2017\.zip"):
        CocoStuff(tmp_path)


@pytest.mark.parametrize(("kind", "suffix"), [("images", "jpg"), ("annotations", "mat")])
def test_a_list_that_names_a_missing_file(tmp_path, kind, suffix):
    names = write_10k(tmp_path)
    (tmp_path / kind / f"{names[1]}.{suffix}").unlink()
    with pytest.raises(UserError, match=rf"train\.txt: names {names[1]}, but .*{kind}/{names[1]}"):
        CocoStuff(tmp_path, "train", "10k")


@pytest.mark.parametrize(("split", "version"), [("test", "164k"), ("train", "1k")])
def test_unknown_split_or_version(tmp_path, split, version):
    with pytest.raises(UserError, match="COCO-Stuff has no such"):
        CocoStuff(tmp_path, split, version)
