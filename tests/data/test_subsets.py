"""Training on a part of the data, and images that belong together."""

from itertools import pairwise

import pytest
from PIL import Image

from twinsight.data.class_folder import ClassFolder
from twinsight.data.folder import Folder
from twinsight.errors import UserError
from twinsight.options.commands import Segment
from twinsight.options.data import ClassFolderOptions, FolderOptions
from twinsight.options.parse import parse


def lay(root, names, masks=True):
    for name in names:
        for kind, mode in (("images", "RGB"), ("masks", "L")) if masks else (("", "RGB"),):
            file = root / kind / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (4, 3)).save(file)
    (root / "classes.txt").write_text("sky\nroad\n")
    return root


def ids(dataset):
    return {entry.id for entry in dataset.entries}


@pytest.fixture
def drives(tmp_path):
    return lay(tmp_path, [f"drive{drive}_{frame:02d}" for drive in range(20) for frame in range(5)])


def test_fractions_are_nested_and_leave_val_alone(drives):
    def part(fraction, seed=0, role="train"):
        return ids(FolderOptions(root=drives, fraction=fraction, fraction_seed=seed).open(role))

    whole = part(1.0)
    sizes = [0.01, 0.05, 0.25, 0.5, 1.0]
    parts = [part(size) for size in sizes]
    assert [len(each) for each in parts] == [max(1, round(size * len(whole))) for size in sizes]
    assert all(small < large for small, large in pairwise(parts))
    assert part(0.25) == parts[2] != part(0.25, seed=1)
    assert part(0.05, role="val") == part(1.0, role="val") == ids(Folder(drives, "val"))


def test_a_fraction_is_said(drives):
    dataset = FolderOptions(root=drives, fraction=0.05).open("train")
    assert dataset.split_note.endswith(f"{len(dataset)} of {len(Folder(drives))} train (5 %)")


def test_labels_of_class_folders_follow_their_images(tmp_path):
    root = lay(tmp_path, [f"{kind}/{i}" for kind in ("cat", "dog") for i in range(10)], masks=False)
    dataset = ClassFolderOptions(root=root, val_fraction=0, fraction=0.4).open("train")
    assert len(dataset.targets) == len(dataset) == 8
    assert [dataset.names[label] for label in dataset.targets] == [entry.id.split("/")[0] for entry in dataset.entries]


def test_percent(drives):
    given = ["--data.root", str(drives), "--data.fraction", "5%", "--data.tolerate", "0.1%", "--lr", "1e-4"]
    options = parse(Segment, "segment", given)
    assert options.data == FolderOptions(root=drives, fraction=0.05, tolerate=0.001)


@pytest.mark.parametrize("pattern", [r"drive\d+", r"drive(\d+)_", "(.*)_"])
def test_groups_stay_on_one_side(drives, pattern):
    train, val = Folder(drives, group=pattern), Folder(drives, "val", group=pattern)
    of_train, of_val = ({name.split("_")[0] for name in ids(each)} for each in (train, val))
    assert not of_train & of_val
    assert 1 <= len(of_val) < 10
    assert ids(train) | ids(val) == ids(Folder(drives, "all"))
    assert train.split_note.endswith("20 % of train held out by a hash of 20 groups)")


def test_groups_of_class_folders(tmp_path):
    names = [f"{kind}/patient{i % 5}_{i}" for kind in ("cat", "dog") for i in range(20)]
    lay(tmp_path, names, masks=False)
    sides = [
        {entry.id.split("/")[1].split("_")[0] for entry in ClassFolder(tmp_path, split, 0.4, r"patient\d").entries}
        for split in ("train", "val")
    ]
    assert not sides[0] & sides[1]


def test_what_groups_are_refused(tmp_path, drives):
    with pytest.raises(UserError, match=r"--data\.group \(: is not a regular expression"):
        Folder(drives, group="(")
    with pytest.raises(UserError, match=r"--data\.group ride7: does not match drive0_00; write a pattern"):
        Folder(drives, group="ride7")
    root = lay(tmp_path / "stated", ["train/drive1_1", "train/drive2_1", "val/drive1_2"])
    with pytest.raises(UserError, match=r"group drive1 is in train and in val, as the folders or lists say; move"):
        Folder(root, group=r"drive\d")
    photos = lay(tmp_path / "photos", ["a", "b"], masks=False)
    with pytest.raises(UserError, match="has no masks, so nothing is held out"):
        Folder(photos, group="a")
    with pytest.raises(UserError, match=r"group a\. is in train and in val"):
        ClassFolder(lay(tmp_path / "c", ["train/x/a", "train/y/b", "val/x/a"], masks=False), group=r"[ab]\.")
