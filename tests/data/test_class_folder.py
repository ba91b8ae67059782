import numpy as np
import pytest
from PIL import Image

from twinsight.data.class_folder import ClassFolder
from twinsight.data.splits import position
from twinsight.errors import UserError
from twinsight.options.data import ClassFolderOptions


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 6), (10, 20, 30)).save(folder / name)


def classes(dataset):
    return {entry.id: dataset.names[label] for entry, label in zip(dataset.entries, dataset.targets)}


def test_a_folder_a_split(tmp_path):
    write(tmp_path, "train/dog/a.jpg", "train/cat/b.png", "train/cat/deep/c.jpg", "train/eel/d.jpg", "val/dog/e.jpg")
    train, val = ClassFolder(tmp_path), ClassFolder(tmp_path, "val")
    assert train.names == val.names == ("cat", "dog", "eel")
    assert classes(train) == {"cat/b.png": "cat", "cat/deep/c.jpg": "cat", "dog/a.jpg": "dog", "eel/d.jpg": "eel"}
    assert val.targets == (1,)
    image, mask, name = val[0]
    assert (image.shape, mask, name) == ((6, 9, 3), None, "dog/e.jpg")
    assert val.classes == ()


def test_splits_of_any_name(tmp_path):
    write(tmp_path, "train/a/1.png", "train/b/1.png", "test/b/1.png")
    assert ClassFolderOptions(root=tmp_path, val="test").open("val").targets == (1,)
    with pytest.raises(UserError, match=r"val: no such split; .*: test, train"):
        ClassFolder(tmp_path, "val")


def test_a_share_is_held_out_by_name(tmp_path):
    names = [f"{'ab'[i % 2]}/{i:02d}.png" for i in range(40)]
    write(tmp_path, *names)
    train, val = (ClassFolder(tmp_path, split, val_fraction=0.3) for split in ("train", "val"))
    assert {entry.id for entry in val.entries} == {name for name in names if position(name) < 0.3}
    assert sorted([*classes(train), *classes(val)]) == sorted(names)
    assert len(ClassFolder(tmp_path, "all")) == 40
    assert set(classes(val).items()) == {(name, name[0]) for name in classes(val)}
    write(tmp_path, "a/new.png")
    assert classes(ClassFolder(tmp_path, "all")).keys() - classes(train).keys() - classes(val).keys() == {"a/new.png"}


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, "train/1.png", "car/1.png", "car/2.png")
    assert classes(ClassFolder(tmp_path, "all")) == {"car/1.png": "car", "car/2.png": "car", "train/1.png": "train"}


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        ClassFolder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no image"):
        ClassFolder(tmp_path)
    write(tmp_path / "one", "a/1.png", "a/2.png")
    with pytest.raises(UserError, match="one: has images of a only; give at least 2 classes"):
        ClassFolder(tmp_path / "one", "all")
    write(tmp_path / "flat", "a/1.png", "b/2.png", "3.png")
    with pytest.raises(UserError, match=r"3\.png: is in no class folder"):
        ClassFolder(tmp_path / "flat")
    (tmp_path / "flat/3.png").unlink()
    with pytest.raises(UserError, match="split test: no such split"):
        ClassFolder(tmp_path / "flat", "test")
    write(tmp_path / "new", "train/a/1.png", "train/b/1.png", "val/c/1.png")
    with pytest.raises(UserError, match=r"val/c/1\.png: its class c is not in .*train"):
        ClassFolder(tmp_path / "new", "val")


def test_images_are_those_on_disk(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    np.testing.assert_array_equal(ClassFolder(tmp_path, "all")[0].image[0, 0], (10, 20, 30))
