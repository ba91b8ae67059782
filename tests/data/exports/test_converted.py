"""What `twinsight data convert` writes, read back by us, datumaro 1.13.12, pycocotools 2.0.11 and torchvision."""

import json
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

from twinsight.cli import main
from twinsight.commands import convert
from twinsight.errors import UserError
from twinsight.options.commands import DataConvert
from twinsight.options.data import DATA, FolderOptions, ShapesOptions
from twinsight.options.detect import detect
from twinsight.options.exports import ColorMasksOptions, LabelmeOptions

COLORS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142]], np.uint8)
NAMES = ("background", "road", "car")
SIZES = ((13, 21), (1, 1), (30, 7), (16, 16))


def save(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **({"quality": 90} if file.suffix == ".jpg" else {}))


def pictures(rng, splits):
    """A name in its split's folder and one below it, an image, and labels with 255 among them."""
    for split in splits:
        for number, (height, width) in enumerate(SIZES):
            labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (height, width), p=[0.4, 0.3, 0.2, 0.1])
            name = f"{'north' if number % 2 else 'south'}/{number // 2}"
            yield split, name, rng.integers(0, 255, (height, width, 3), np.uint8), labels


def folder(root):
    for split, name, image, labels in pictures(np.random.default_rng(0), ("train", "valid", "test")):
        save(root / split / f"images/{name}.jpg", image)
        save(root / split / f"masks/{name}.png", labels)
    (root / "classes.txt").write_text("wall\nroad\nold car\n")
    return FolderOptions(root=root)


def color_masks(root):
    colors = np.zeros((256, 3), np.uint8)
    colors[:3], colors[255] = COLORS, (224, 224, 192)
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for split, name, image, labels in pictures(np.random.default_rng(1), ("train", "val")):
        save(root / f"JPEGImages/{split}-{name}.JPG", image)
        save(root / f"SegmentationClass/{split}-{name}.png", colors[labels])
        with (lists / f"{split}.txt").open("a") as file:
            file.write(f"{split}-{name}\n")
    (root / "labelmap.txt").write_text("background:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n")
    return ColorMasksOptions(root=root)


def labelme(root):
    for number in range(12):
        file = root / f"drive/images/{number}.png"
        save(file, np.full((24, 20, 3), number, np.uint8))
        square = {"label": "cat", "points": [[1, 1], [9 + number, 2], [5, 20]], "shape_type": "polygon"}
        other = {"label": "__ignore__", "points": [[0, 0], [3, 3]], "shape_type": "rectangle"}
        content = {"imagePath": file.name, "imageHeight": 24, "imageWidth": 20, "shapes": [square, other]}
        if number == 3:
            content["imageData"] = b64encode(file.read_bytes()).decode()
            file.unlink()
        file.with_suffix(".json").write_text(json.dumps(content))
    return LabelmeOptions(root=root)


def shapes(root):
    return ShapesOptions(count=3, val_count=2, size=24)


SOURCES = (folder, color_masks, labelme, shapes)


def written(options, out, **more):
    convert.convert(DataConvert(data=options, out=out, **more))
    return out


def contents(options):
    """The samples of each split, by names without folders that say split or image."""
    found = {}
    for split, dataset in convert.open_splits(DataConvert(data=options, out=Path("unused"))).items():
        for image, mask, id in dataset:
            name = convert.without_kinds(id).removeprefix(f"{split}/").removeprefix("valid/")
            found[split, name] = image, mask
    return found, dataset.classes


def by_coco(mask, shift):
    """What COCO keeps of a mask: void is background."""
    return np.where(mask == 255, 0, mask + np.uint8(shift))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("form", "name"), [("voc", "color-masks"), ("coco", "coco"), ("folder", "folder")])
def test_what_is_written_is_read_back(tmp_path, source, form, name):
    options = source(tmp_path / "from")
    out = written(options, tmp_path / "to", to=form)
    assert detect(out) == name
    before, classes = contents(options)
    after, now = contents(DATA[name](root=out))
    shift = int(form == "coco" and classes[0] != "background")
    assert now == ("background",) * shift + classes
    assert after.keys() == before.keys()
    for key, (image, mask) in before.items():
        np.testing.assert_array_equal(after[key][0], image, err_msg=str(key))
        expected = by_coco(mask, shift) if form == "coco" else mask
        np.testing.assert_array_equal(after[key][1], expected, err_msg=str(key))


def test_masks_are_bytes_and_files_are_copied(tmp_path):
    options = color_masks(tmp_path / "from")
    out = written(options, tmp_path / "to")
    before, classes = contents(options)
    by_index, named = contents(FolderOptions(root=out))
    assert named == classes
    for (split, name), (_, mask) in before.items():
        np.testing.assert_array_equal(by_index[split, name][1], mask)
        file = out / f"SegmentationClass/{name}.png"
        assert file.read_bytes()[24:26] == bytes((8, 3))  # bits; palette
        np.testing.assert_array_equal(decode_image(file, ImageReadMode.UNCHANGED)[0].numpy(), mask)
        image = f"JPEGImages/{name}.JPG"
        assert (out / image).read_bytes() == (tmp_path / "from" / image).read_bytes()
    linked = written(options, tmp_path / "linked", link=True)
    assert (linked / image).samefile(tmp_path / "from" / image)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("form", ["voc", "coco"])
def test_others_read_it_too(tool, tmp_path, source, form):
    options = source(tmp_path / "from")
    out = written(options, tmp_path / "to", to=form)
    tool("read_converted.py", out, tmp_path / "read", form)
    before, classes = contents(options)
    names = tuple((tmp_path / "read/classes.txt").read_text().splitlines())
    shift = int(form == "coco" and classes[0] != "background")
    assert names == (classes[1 - shift :] if form == "coco" else classes + ("ignored",) * (len(names) > len(classes)))
    for (split, name), (_, mask) in before.items():
        if form == "voc":
            lines = (out / f"ImageSets/Segmentation/{split}.txt").read_text().splitlines()
            name = next(line for line in lines if line.endswith(name))
        read = np.load(tmp_path / f"read/{split}/{name}.npy")
        np.testing.assert_array_equal(read, by_coco(mask, shift) if form == "coco" else mask, err_msg=name)


def call(capfd, *argv):
    with pytest.raises(SystemExit) as exit:
        main(["data", "convert", *map(str, argv)])
    return int(exit.value.code or 0), capfd.readouterr().err


def test_the_command(tmp_path, capfd):
    root, out = folder(tmp_path / "from").root, tmp_path / "to"
    code, said = call(capfd, root, out, "--to", "folder")
    assert code == 0
    assert said == (f"data convert: 4 train, 4 val, 4 test, in {out}; train on them with twinsight segment {out}\n")
    code, said = call(capfd, root, out)
    assert (code, "is not an empty folder" in said) == (2, True)
    code, said = call(capfd, root, root / "to")
    assert (code, "is inside the data set" in said) == (2, True)
    assert call(capfd, root) == (2, "twinsight: error: OUT: is missing; see --help\n")
    code, said = call(capfd, root, tmp_path / "coco", "--to", "coco")
    assert "void pixels are in no annotation" in said


def test_all_of_it_may_be_for_training(tmp_path, capfd):
    for index in range(4):
        save(tmp_path / f"from/images/{index}.jpg", np.zeros((6, 9, 3), np.uint8))
        save(tmp_path / f"from/masks/{index}.png", np.arange(54, dtype=np.uint8).reshape(6, 9) % 2)
    code, said = call(capfd, tmp_path / "from", tmp_path / "to", "--data.val-fraction", "0")
    assert (code, said.startswith(f"data convert: 4 train, in {tmp_path / 'to'}")) == (0, True)
    assert [file.name for file in (tmp_path / "to/ImageSets/Segmentation").iterdir()] == ["train.txt"]


def test_a_folder_named_as_the_public_set(tmp_path):
    options = folder(tmp_path / "from")
    out = written(options, tmp_path / "VOC2012")
    assert detect(out) == "color-masks"


def test_nothing_half_written(tmp_path, capfd, monkeypatch):
    root, out = folder(tmp_path / "from").root, tmp_path / "to"
    broken = root / "train/images/north/0.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    code, said = call(capfd, root, out)
    assert (code, f"{broken}: cannot be read as an image" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["from"]
    code, said = call(capfd, root, out, "--data.tolerate", "1")
    assert (code, f"left out: {broken}" in said, "3 train, 4 val, 4 test" in said) == (0, True, True)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "put_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(FolderOptions(root=root, tolerate=1), tmp_path / "stopped")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "to"]


def test_a_class_that_the_label_map_would_make_void(tmp_path):
    options = folder(tmp_path / "from")
    (options.root / "classes.txt").write_text("void\nroad: wet\ncar\n")
    out = written(options, tmp_path / "to")
    assert detect(out) == "folder"
    before, classes = contents(options)
    after, now = contents(FolderOptions(root=out))
    assert now == classes == ("void", "road: wet", "car")
    for (split, name), (_, mask) in before.items():
        np.testing.assert_array_equal(after[split, name.replace("valid", "val")][1], mask)


def test_images_that_exif_turns_are_written_upright(tmp_path, capfd):
    options = folder(tmp_path / "from")
    image = options.root / "train/images/south/0.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(21 * 13 * 3, dtype=np.uint8).reshape(21, 13, 3)).save(image, exif=exif)
    labels = np.arange(13 * 21, dtype=np.uint8).reshape(13, 21) % 3
    save(options.root / "train/masks/south/0.png", labels)
    upright, mask = contents(options)[0]["train", "south/0"]
    out = written(options, tmp_path / "to", to="folder")
    assert "1 image that EXIF turns is written upright" in capfd.readouterr().err
    np.testing.assert_array_equal(decode_image(out / "train/images/south/0.png").permute(1, 2, 0), upright)
    np.testing.assert_array_equal(decode_image(out / "train/masks/south/0.png", ImageReadMode.UNCHANGED)[0], mask)


def test_two_images_of_one_name_are_refused(tmp_path):
    for name in ("a/images/1", "a/1"):
        save(tmp_path / f"from/{name}.png", np.zeros((24, 20, 3), np.uint8))
        shape = {"label": "cat", "points": [[1, 1], [9, 2], [5, 20]], "shape_type": "polygon"}
        content = {"imagePath": f"{name}.png", "imageHeight": 24, "imageWidth": 20, "shapes": [shape]}
        (tmp_path / f"from/{name}.json").write_text(json.dumps(content))
    options = LabelmeOptions(root=tmp_path / "from", train="all", val="all")
    with pytest.raises(UserError, match=r"1\.png: would get the name of .*1\.png, a/1; rename"):
        written(options, tmp_path / "to")
