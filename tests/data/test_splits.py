"""Splits that folders state, by the layouts that people have."""

import numpy as np
import pytest
from PIL import Image

from twinsight.data.class_folder import ClassFolder
from twinsight.data.folder import Folder
from twinsight.errors import UserError
from twinsight.options.data import ClassFolderOptions, FolderOptions


def write(folder, *names, mode="RGB", value=0):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (9, 6), value).save(folder / name)


def ids(dataset):
    return [entry.id for entry in dataset.entries]


def numbered(split, count, extension="jpg"):
    return [f"{split}/{i:02d}.{extension}" for i in range(count)]


def labeled(root, counts, masks="masks/{}", images="images/{}", unlabeled=()):
    """`counts` pairs for each name of a split, called alike in all of them; `unlabeled`: splits without masks."""
    for split, count in counts.items():
        write(root, *(f"{images.format(split)}/{i:02d}.jpg" for i in range(count)))
        if split not in unlabeled:
            write(root, *(f"{masks.format(split)}/{i:02d}.png" for i in range(count)), mode="L", value=1)
    (root / "classes.txt").write_text("sky\nroad\n")


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
@pytest.mark.parametrize(("images", "masks"), [("images/{}", "masks/{}"), ("{}/images", "{}/masks")])
@pytest.mark.parametrize("unlabeled", [(), ("test",)])
def test_splits_of_images_and_masks(tmp_path, val, images, masks, unlabeled):
    labeled(tmp_path, {"train": 9, val: 3, "test": 2}, masks, images, unlabeled)
    train, held, both = (Folder(tmp_path, split) for split in ("train", "val", "all"))
    assert ids(train) == [f"train/{i:02d}" for i in range(9)]
    assert ids(held) == [f"{val}/{i:02d}" for i in range(3)]
    assert sorted(ids(both)) == sorted(ids(train) + ids(held))
    for dataset in (train, held, both):
        assert dataset.split_note == ("9 train, 3 val" + ("" if unlabeled else ", 2 test") + ", as the folders say")
        for entry in dataset.entries:
            split, name = entry.id.split("/")
            assert entry.image == tmp_path / images.format(split) / f"{name}.jpg"
            assert entry.mask == tmp_path / masks.format(split) / f"{name}.png"
    if not unlabeled:
        assert ids(Folder(tmp_path, "test")) == ["test/00", "test/01"]


def test_masks_in_a_folder_of_their_own(tmp_path):
    labeled(tmp_path, {"train": 9, "val": 3})
    options = FolderOptions(root=tmp_path / "images", masks=tmp_path / "masks", classes=tmp_path / "classes.txt")
    assert [len(options.open(role)) for role in ("train", "val")] == [9, 3]


def test_masks_in_a_folder_below_the_images(tmp_path):
    write(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "masks", "a.png", "b.png", mode="L")
    dataset = Folder(tmp_path, "all", tmp_path / "masks", ("sky", "road"))
    assert ids(dataset) == ["a", "b"]


def test_without_val_it_is_held_out_of_train_and_never_of_test(tmp_path):
    labeled(tmp_path, {"train": 40, "test": 5})
    train, val, both = (Folder(tmp_path, split) for split in ("train", "val", "all"))
    assert all(name.startswith("train/") for name in ids(both))
    assert sorted(ids(train) + ids(val)) == ids(both)
    assert 3 <= len(val) <= 14
    share = "(20 % of train held out by a hash of names, test as the folders say)"
    assert train.split_note == f"{len(train)} train, {len(val)} val, 5 test {share}"


def test_train_alone_states_no_split(tmp_path):
    labeled(tmp_path, {"train": 40})
    train, val = (Folder(tmp_path, split) for split in ("train", "val"))
    assert train.split_note == f"{len(train)} train, {len(val)} val (20 % of train held out by a hash of names)"
    assert len(train) + len(val) == 40


def test_images_without_masks(tmp_path):
    write(tmp_path, *numbered("train", 5), *numbered("valid", 2), *numbered("test", 3))
    assert ids(Folder(tmp_path)) == numbered("train", 5)
    assert ids(Folder(tmp_path, "val")) == numbered("valid", 2)
    assert ids(Folder(tmp_path, "test")) == numbered("test", 3)
    assert ids(Folder(tmp_path, "all")) == numbered("train", 5) + numbered("valid", 2)
    assert Folder(tmp_path).split_note == "5 train, 2 val, 3 test, as the folders say"


def test_own_folders_state_nothing(tmp_path):
    write(tmp_path, "bus/1.jpg", "train/1.jpg", "tram/1.jpg")
    assert ids(Folder(tmp_path)) == ["bus/1.jpg", "train/1.jpg", "tram/1.jpg"]
    assert Folder(tmp_path).split_note == "3 images without masks"


def test_what_lies_outside_of_stated_splits_is_named(tmp_path):
    write(tmp_path / "a", "train/1.jpg", "val/1.jpg", "more/1.jpg")
    with pytest.raises(UserError, match=r"a/more/1\.jpg: lies in none of the folders that state .* \(train, val\)"):
        Folder(tmp_path / "a")
    write(tmp_path / "b", "val/1.jpg", "test/1.jpg")
    with pytest.raises(UserError, match=r"b/test/1\.jpg: belongs to test or val, and no folder is called train"):
        Folder(tmp_path / "b")
    labeled(tmp_path / "c", {"train": 2, "val": 2}, "{}/masks", "{}/images", ["val"])
    with pytest.raises(UserError, match=r"c/val/images/00\.jpg: has no mask of the same name in .* \(2 of 4 images"):
        Folder(tmp_path / "c")


def test_lists_of_a_voc_layout(tmp_path):
    write(tmp_path / "JPEGImages", "a.png", "b.png", "c.png")
    write(tmp_path / "SegmentationClass", "a.png", "b.png", "c.png", mode="P")
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("c\n")
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    assert Folder(tmp_path).split_note == "2 train, 1 val, as the lists of ImageSets/Segmentation say"


def test_class_folders(tmp_path):
    for split, count in {"train": 3, "validation": 2, "test": 1}.items():
        write(tmp_path, *numbered(f"{split}/cat", count), *numbered(f"{split}/dog", count))
    train, val, test = (ClassFolder(tmp_path, split) for split in ("train", "val", "test"))
    assert [len(dataset) for dataset in (train, val, test)] == [6, 4, 2]
    assert train.split_note == "6 train, 4 val, 2 test, as the folders say"
    write(tmp_path / "flat", *numbered("cat", 20), *numbered("dog", 20))
    flat = ClassFolder(tmp_path / "flat")
    assert flat.split_note == f"{len(flat)} train, {40 - len(flat)} val (20 % of train held out by a hash of names)"


@pytest.mark.parametrize("options", [FolderOptions, ClassFolderOptions])
def test_nobody_trains_on_test(tmp_path, options):
    with pytest.raises(UserError, match=r"--data\.train test: a test split is only for measuring"):
        options(root=tmp_path, train="test").open("train")


def test_a_file_is_never_its_own_mask(tmp_path):
    write(tmp_path / "masks", "a.png", mode="L")
    (tmp_path / "link").symlink_to(tmp_path / "masks")
    for masks in ("masks", "link"):
        with pytest.raises(UserError, match=r"--data\.masks .*: is the folder of images too"):
            Folder(tmp_path / "masks", "all", tmp_path / masks, ("a", "b"))


def test_masks_beside_their_images_are_no_photographs(tmp_path):
    names = ["a.jpg", "b.png", "c/d.jpg", "c/seg.jpg", "the_mask.jpg", "x_2.jpg", "x.jpg"]
    beside = ["a_mask.png", "b-labels.png", "c/d_mask_1.png", "c/d_mask_2.png", "x_gt.png"]
    write(tmp_path, *names, *beside)
    dataset = Folder(tmp_path)
    assert ids(dataset) == sorted(names)
    assert dataset.split_note == "7 images without masks; left out: 5 masks beside images, such as a_mask.png"
    np.testing.assert_array_equal([len(Folder(tmp_path, "all"))], [7])
