"""What cannot mean anything is refused before a training, by name; what is suspicious is said."""

import numpy as np
import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.data.masks import write_mask
from twinsight.data.samples import voc_palette

RNG = np.random.default_rng(0)
CLASSES = ("background", "cell")


def photograph():
    return Image.fromarray(RNG.integers(0, 256, (10, 10, 3), np.uint8)).resize((40, 40), Image.Resampling.BICUBIC)


def values(*held):
    """A mask of 40 x 40 that holds each of these values."""
    return np.resize(np.array(held, np.uint8), (40, 40))


def write(root, masks, classes=CLASSES, splits=("train", "val")):
    """Six pairs in each split, called alike in none; `masks`: of all of them, or by split, one after another."""
    root.mkdir(exist_ok=True)
    for split in splits:
        given = masks[split] if isinstance(masks, dict) else masks
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(6):
            photograph().save(root / f"images/{split}/{split}{i}.png")
            Image.fromarray(given[i % len(given)]).save(root / f"masks/{split}/{split}{i}.png")
    (root / "classes.txt").write_text("\n".join(classes))


def run(*argv):
    with pytest.raises(SystemExit) as exit:
        main([*map(str, argv)])
    return exit.value.code


def segment(root, *argv):
    """A dry run, which looks at the data as a training does; its exit code."""
    small = [
        "--backbone",
        "test_resnet",
        "--augment.size",
        32,
        "--batch-size",
        4,
        "--workers",
        0,
        "--precision",
        "fp32",
    ]
    return run("segment", "--data", "folder", "--data.root", root, *small, *argv, "--dry-run")


@pytest.mark.parametrize(
    ("masks", "classes", "sentences"),
    [
        ([values(0, 255)], (*CLASSES, "wall"), ["only 0 and 255, as all 6 masks", "--data.void 255 to ignore"]),
        ([values(0, 128, 255)], (*CLASSES, "wall"), ["holds 128, but the data set has 3", "--data.values 0 128 255"]),
        ([values(1, 2)], CLASSES, ["holds 2, but the data set has 2 classes", "--data.values 1 2"]),
        ([values(0, 1, 2)], CLASSES, ["holds 2, but", "--data.void 0 if 0 is not a class"]),
        ([values(0, 1, 2, 255)], CLASSES, ["holds 2, but", "--data.void 0 255 if 0 is not a class"]),
        ([values(*range(9))], CLASSES, ["holds 2, but", "name all classes"]),
        ([values(255)], CLASSES, ["is all void, as all 6 masks of train"]),
        ([values(1)], CLASSES, ["holds only class 1 (cell), as all 6 masks of train"]),
        ([values(0)], CLASSES, ["holds only class 0 (background)"]),
        ([values(0)], CLASSES[:1], ["--data: has only one class, background"]),
        ({"train": [values(0, 1)], "val": [values(255)]}, CLASSES, ["is all void, as all 6 masks of val"]),
    ],
)  # fmt: skip
def test_masks_that_mean_nothing_are_refused(tmp_path, capfd, masks, classes, sentences):
    write(tmp_path / "data", masks, classes)
    assert segment(tmp_path / "data", "--run", tmp_path / "run") == 2
    error = capfd.readouterr().err
    assert "error: " in error
    assert ("data/masks/" in error) == (len(classes) > 1)
    assert all(sentence in error for sentence in sentences)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("held", "option", "classes"),
    [
        ((0, 255), ("--data.values", 0, 255), CLASSES),
        ((0, 128, 255), ("--data.values", 0, 128, 255), (*CLASSES, "wall")),
        ((0, 1, 2), ("--data.void", 0), CLASSES),
        ((0, 1, 2, 255), ("--data.void", 0, 255), CLASSES),
    ],
)
def test_the_option_that_the_refusal_names_lets_it_train(tmp_path, capfd, held, option, classes):
    write(tmp_path / "data", [values(*held)], classes)
    assert segment(tmp_path / "data", *option) == 0, capfd.readouterr().err
    assert "warning" not in capfd.readouterr().err


def test_where_no_mask_can_be_read_one_is_named(tmp_path, capfd):
    write(tmp_path / "data", [values(0, 1)])
    for file in (tmp_path / "data/masks").glob("*/*.png"):
        file.write_bytes(file.read_bytes()[:40])
    assert segment(tmp_path / "data") == 2
    error = capfd.readouterr().err
    assert "masks/train/train0.png: cannot be read" in error
    assert "give --data.tolerate" not in error  # which would leave nothing
    assert "no pixel of" not in error
    assert segment(tmp_path / "data", "--data.tolerate", 2) == 2
    assert "; 6 images are broken, but --data.tolerate allows only 2" in capfd.readouterr().err


def test_void_that_is_meant_is_no_class(tmp_path, capfd):
    write(tmp_path / "data", {"train": [values(0, 255), values(0, 1)], "val": [values(0, 255)]})
    assert segment(tmp_path / "data") == 0
    assert "in all 6 masks of val there is only class background" in capfd.readouterr().err
    write(tmp_path / "void", [values(0, 255)])
    assert segment(tmp_path / "void", "--data.void", 255) == 2
    assert "holds only class 0 (background)" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        ([values(0, 1)], "in all 6 masks of train there is no pixel of wall"),
        ([values(0, 1), values(0, 1, 2), values(255)], "is void throughout (2 of 6 masks of train)"),
    ],
)
def test_what_is_suspicious_is_said(tmp_path, capfd, masks, sentence):
    write(tmp_path / "data", masks, (*CLASSES, "wall"))
    assert segment(tmp_path / "data") == 0
    assert sentence in capfd.readouterr().err


def test_of_many_masks_some_are_looked_at_and_it_says_how_many(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("twinsight.data.glance.MASKS", 3)
    write(tmp_path / "data", [values(0)])
    assert segment(tmp_path / "data") == 0
    assert "in 3 of 6 masks of train there is no pixel of cell" in capfd.readouterr().err
    monkeypatch.setattr("twinsight.data.glance.PIXELS", 1)
    write(tmp_path / "void", [values(255)])
    assert segment(tmp_path / "void") == 2
    assert "3 of 6 masks of train" in capfd.readouterr().err


def test_masks_that_are_the_images(tmp_path, capfd):
    write(tmp_path / "data", [values(0, 1)])
    for split in ("train", "val"):
        for file in (tmp_path / "data/masks" / split).iterdir():
            (tmp_path / "data/images" / split / file.name).write_bytes(file.read_bytes())
    assert segment(tmp_path / "data") == 2
    assert "train0.png: is both image and mask (6 of 6 masks)" in capfd.readouterr().err


def test_val_that_is_train(tmp_path, capfd):
    write(tmp_path / "data", [values(0, 1)])
    for given in ("train", "val"):
        assert segment(tmp_path / "data", "--data.train", given, "--data.val", given) == 2
        assert "is in train and in val, as is every image of both" in capfd.readouterr().err
    for kind in ("images", "masks"):
        for i in range(6):
            (tmp_path / f"data/{kind}/val/val{i}.png").write_bytes(
                (tmp_path / f"data/{kind}/train/train{i}.png").read_bytes()
            )
    assert segment(tmp_path / "data") == 2
    assert "is in train and in val, as is every image of both" in capfd.readouterr().err
    assert run("data", "check", "--data", "folder", "--data.root", tmp_path / "data") == 2


def overlapping(root):
    """One image of val is a file of train, one a JPEG of the picture of the same name, one has just the same name."""
    write(root, [values(0, 1)])
    images, masks = root / "images", root / "masks"
    (images / "val/val0.png").write_bytes((images / "train/train0.png").read_bytes())
    for old, new, jpeg in ((1, "train1", True), (2, "train2", False)):
        (masks / f"val/val{old}.png").rename(masks / f"val/{new}.png")
        (images / f"val/val{old}.png").rename(images / f"val/{new}.png")
        if jpeg:
            Image.open(images / f"train/{new}.png").save(images / f"val/{new}.jpg", quality=90)
            (images / f"val/{new}.png").unlink()


def test_val_that_overlaps_with_train(tmp_path, capfd):
    overlapping(tmp_path / "data")
    assert segment(tmp_path / "data") == 0
    error = capfd.readouterr().err
    assert "val0.png: is in train too, as " in error
    assert "train1.jpg: shows what the image of the same name in train shows, " in error
    assert "train2.png: has the name of another image in train, " in error
    assert run("data", "check", "--data", "folder", "--data.root", tmp_path / "data") == 2
    output = capfd.readouterr()
    assert "(1 of 6 images of val)" in output.out.replace("\n", " ")
    assert "1 in both splits" in output.err


def test_names_in_both_lists_of_a_voc_layout(tmp_path, capfd):
    for kind in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / kind).mkdir(parents=True)
    for name in "abcde":
        photograph().save(tmp_path / f"JPEGImages/{name}.png")
        write_mask(tmp_path / f"SegmentationClass/{name}.png", values(0, 1), voc_palette(2))
    (tmp_path / "classes.txt").write_text("background\ncell")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nb\nc\nd")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("d\ne")
    assert segment(tmp_path) == 0
    assert "(1 of 2 images of val)" in capfd.readouterr().err
    assert run("data", "check", "--data", "folder", "--data.root", tmp_path) == 2


def test_palettes_that_disagree(tmp_path, capfd):
    """Red is 1 in half of the masks and 2 in the others: an editor that numbers colors by their first use."""
    write(tmp_path / "data", [values(0, 1)], (*CLASSES, "wall"))
    red, green = (255, 0, 0), (0, 255, 0)
    for i in range(6):
        colors = np.array([(0, 0, 0), red, green] if i < 3 else [(0, 0, 0), green, red], np.uint8)
        write_mask(tmp_path / f"data/masks/train/train{i}.png", values(0, 1, 2), colors)
    assert segment(tmp_path / "data") == 0
    error = capfd.readouterr().err
    assert "train0.png and " in error
    assert "train3.png: the color (0, 255, 0) is 2 in one and 1 in the other" in error
    assert run("data", "check", "--data", "folder", "--data.root", tmp_path / "data") == 2
    assert "the color (0, 255, 0) is 2 in one and 1 in the other" in capfd.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize("masks", [[values(255)], [values(1)]])
def test_data_check_calls_them_unsound(tmp_path, capfd, masks):
    write(tmp_path / "data", masks)
    assert run("data", "check", "--data", "folder", "--data.root", tmp_path / "data") == 2
    output = capfd.readouterr()
    assert "unsound" in output.out
    assert "6 samples read" in output.out


def test_label_images_among_photographs(tmp_path, capfd):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        photograph().save(photos / f"{i}.png")
        Image.fromarray(values(0, 1)).save(photos / f"{i}-drawing.png")
    options = "--backbone test_resnet --method.views.size 32 --method.projector 8 8 --batch-size 4 --workers 0"
    asked = ("pretrain", "--data", "folder", "--data.root", photos, *options.split(), "--dry-run")
    assert run(*asked) == 0
    error = capfd.readouterr().err
    assert "0-drawing.png: has so few colors that it looks like a mask (8 of 16 images of train)" in error
    (photos / "masks").mkdir()
    for i in range(8):
        (photos / f"{i}-drawing.png").rename(photos / f"masks/drawing{i}.png")
    assert run(*asked) == 0
    assert "masks/drawing0.png: lies in a folder of masks by its name (8 of 16 images)" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "repair or remove the file\n"),
        (lambda file: Image.new("RGB", (40, 40)).save(file), "is of one color (6 of 6 images of train)"),
    ],
)
def test_images_that_mean_nothing_are_refused(tmp_path, capfd, spoil, sentence):
    write(tmp_path / "data", [values(0, 1)])
    for file in (tmp_path / "data/images/train").iterdir():
        spoil(file)
    assert segment(tmp_path / "data") == 2
    assert sentence in capfd.readouterr().err
