"""A folder where the name of a data set may stand."""

from pathlib import Path
from typing import Any

import pytest

from twinsight.errors import UserError
from twinsight.options.commands import DataCheck, Evaluate, Pretrain
from twinsight.options.detect import detect
from twinsight.options.parse import from_keywords, parse

LAYOUTS = {
    "folder": ["a.jpg"],
    "folder of pairs": ["images/a.jpg", "masks/a.png", "classes.txt"],
    "folder of splits": ["train/images/a.jpg", "train/masks/a.png", "classes.txt"],
    "folder of one's own in VOC layout": ["ImageSets/Segmentation/train.txt", "JPEGImages/a.jpg", "classes.txt"],
    "folder of classes": ["cat/a.jpg", "dog/a.jpg"],
    "folder that is empty": ["x/"],
    "voc": ["VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"],
    "voc without its outer folder": ["VOC2012/ImageSets/Segmentation/train.txt"],
    "coco-stuff": ["images/train2017/a.jpg", "stuffthingmaps/train2017/a.png"],
    "coco-stuff with its other names": ["train2017/a.jpg", "annotations/train2017/a.png"],
}


def lay(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).mkdir() if name.endswith("/") else (root / name).touch()
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_known(tmp_path, layout):
    assert detect(lay(tmp_path, LAYOUTS[layout])) == layout.partition(" ")[0]


CLASSES = {
    "class-folder": ["cat/a.jpg", "dog/a.jpg"],
    "class-folder with a stray image": ["cat/a.jpg", "dog/a.jpg", "b.jpg"],
    "class-folder of splits": ["train/cat/a.jpg", "train/dog/a.jpg", "val/cat/a.jpg"],
    "folder that is flat": ["a.jpg", "b.jpg", "notes/a.txt"],
    "folder of pairs": ["images/a.jpg", "masks/a.png", "classes.txt"],
    "folder of one's own in VOC layout": ["ImageSets/Segmentation/train.txt", "JPEGImages/a.jpg", "classes.txt"],
    "voc": ["VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"],
}


@pytest.mark.parametrize("layout", CLASSES)
def test_folders_are_classes_for_who_wants_classes(tmp_path, layout):
    assert detect(lay(tmp_path, CLASSES[layout]), classes=True) == layout.partition(" ")[0]


def test_a_method_that_learns_from_classes_takes_folders_as_such(tmp_path):
    folder = str(lay(tmp_path / "animals", CLASSES["class-folder"]))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"data: {folder}\nmethod: supervised\n")
    wanted = [
        parse(Pretrain, "pretrain", [folder, "--method", "supervised"]),
        parse(Pretrain, "pretrain", ["--data.root", folder, "--method", "supervised"]),
        parse(Pretrain, "pretrain", ["--config", str(recipe)]),
        from_keywords(Pretrain, "pretrain", {"data": folder, "method": "supervised"}),
    ]
    assert {options.data.name for options in wanted} == {"class-folder"}
    assert {str(options.data.root) for options in wanted} == {folder}
    others = [
        parse(Pretrain, "pretrain", [folder]),
        parse(Pretrain, "pretrain", ["--config", str(recipe), "--method", "dino"]),
        parse(Pretrain, "pretrain", ["--data", "folder", "--data.root", folder, "--method", "supervised"]),
    ]
    assert {options.data.name for options in others} == {"folder"}
    assert parse(Evaluate, "evaluate", ["run", folder, "--probe", "knn"]).data.name == "class-folder"
    assert parse(Evaluate, "evaluate", ["run", folder, "--data.masks", "masks"]).data.name == "folder"
    assert parse(Evaluate, "evaluate", ["run", "--data.root", folder, "--data.masks", "m"]).data.name == "folder"
    masked = {"run": "run", "data": {"root": folder, "masks": "masks"}}
    assert from_keywords(Evaluate, "evaluate", masked).data.name == "folder"
    of_run = {"data": {"name": "folder", "root": "street", "masks": "masks"}}
    assert parse(Evaluate, "evaluate", ["run", folder], of_run).data.name == "class-folder"
    images = str(lay(tmp_path / "photos", ["a.jpg", "b.jpg"]))
    assert parse(Evaluate, "evaluate", ["run", images, "--probe", "knn"]).data.name == "folder"


def test_voc_itself_may_be_named(tmp_path):
    assert detect(lay(tmp_path / "VOC2012", ["ImageSets/Segmentation/train.txt"])) == "voc"


def test_a_folder_with_two_readings_is_refused(tmp_path):
    root = lay(tmp_path / "VOC2012", ["ImageSets/Segmentation/train.txt", "classes.txt"])
    with pytest.raises(UserError, match=rf"--data voc --data\.root {root} or --data folder --data\.root {root}$"):
        detect(root)


def every_way(folder: Path) -> list[Any]:
    """The options that the command line, a recipe and Python make of a folder."""
    recipe = folder.parent / "recipe.yaml"
    recipe.write_text(f"data: {folder}\n")
    long = folder.parent / "long.yaml"
    long.write_text(f"data: {{root: {folder}}}\n")
    return [
        parse(DataCheck, "data check", ["--data", str(folder)]),
        parse(DataCheck, "data check", [f"--data={folder}"]),
        parse(DataCheck, "data check", ["--data.root", str(folder)]),
        parse(DataCheck, "data check", ["--config", str(recipe)]),
        parse(DataCheck, "data check", ["--config", str(long)]),
        from_keywords(DataCheck, "data check", {"data": str(folder)}),
        from_keywords(DataCheck, "data check", {"data": folder}),
        from_keywords(DataCheck, "data check", {"data": {"root": folder}}),
    ]


@pytest.mark.parametrize("layout", ["folder", "voc", "coco-stuff"])
def test_every_way_to_name_a_folder_is_the_same(tmp_path, layout):
    folder = lay(tmp_path / "photos", LAYOUTS[layout])
    for options in every_way(folder):
        assert (options.data.name, options.data.root) == (layout, folder)


def test_a_data_set_comes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(lay(tmp_path, ["shapes/a.jpg"]))
    assert parse(Pretrain, "pretrain", ["--data", "shapes"]).data.name == "shapes"
    assert parse(Pretrain, "pretrain", ["--data", "./shapes"]).data.root == Path("shapes")


def test_a_format_is_not_sought_here_where_a_folder_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(lay(tmp_path, ["cvat/a.jpg"]))
    with pytest.raises(UserError, match=r"--data cvat: names a format, and .* give --data ./cvat to read that folder"):
        parse(Pretrain, "pretrain", ["cvat"])
    assert parse(Pretrain, "pretrain", ["./cvat"]).data.root == Path("cvat")
    assert parse(Pretrain, "pretrain", ["--data", "cvat", "--data.root", "."]).data.root == Path(".")


def test_another_folder_keeps_how_masks_are_coded_and_forgets_where_they_lie(tmp_path):
    run = {"data": {"name": "folder", "root": "a", "masks": "b", "classes": "c", "values": [0, 255]}}
    data = parse(DataCheck, "data check", ["--data", str(lay(tmp_path, ["a.jpg"]))], run).data
    assert (data.root, data.masks, data.classes, data.values) == (tmp_path, None, None, (0, 255))
    data = parse(DataCheck, "data check", ["--data.root", "elsewhere"], run).data
    assert (data.root, data.masks) == (Path("elsewhere"), Path("b"))


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--data", "none"], "--data none: unknown, and there is no such folder; choose one of shapes, folder"),
        (["--data", "foldr"], "--data foldr: unknown, and there is no such folder; did you mean folder"),
        (["--data", "file.txt"], "--data file.txt: is a file; name the folder that holds the images"),
        (["--data.root", "none"], "--data.root none: there is no such folder; check"),
        (["--data", "photos", "--data.root", "b"], "--data.root: cannot be combined with --data photos, which is"),
        (["--data", "shapes", "--data.root", "b"], "--data.root: belongs to --data folder, class-folder, "),
    ],
)  # fmt: skip
def test_what_is_no_data(tmp_path, monkeypatch, argv, sentence):
    monkeypatch.chdir(lay(tmp_path, ["photos/a.jpg", "file.txt"]))
    with pytest.raises(UserError) as error:
        parse(DataCheck, "data check", argv)
    assert str(error.value).startswith(sentence)
