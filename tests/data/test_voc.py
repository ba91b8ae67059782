import numpy as np
import pytest
from PIL import Image

from twinsight.data.voc import Voc, read_layout
from twinsight.errors import UserError

RNG = np.random.default_rng(0)
SPLITS = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}


def write_layout(folder, splits=SPLITS, suffix=".jpg"):
    """A folder in VOC's layout: 255 is the border, as in VOC, and masks have VOC's palette."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for split, names in splits.items():
        (folder / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            Image.fromarray(RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)).save(
                folder / "JPEGImages" / f"{name}{suffix}"
            )
            labels = RNG.integers(0, 21, (12, 17), dtype=np.uint8)
            labels[0] = 255
            mask = Image.fromarray(labels)
            mask.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
            mask.save(folder / "SegmentationClass" / f"{name}.png")
    return folder


@pytest.mark.parametrize("inside", [".", "VOC2012", "VOCdevkit/VOC2012"])
def test_root_may_be_any_of_three(tmp_path, inside):
    folder = write_layout(tmp_path / inside)
    dataset = Voc(tmp_path, "train")
    assert [entry.id for entry in dataset.entries] == SPLITS["train"]
    image, mask, name = dataset[1]
    assert image.shape == (12, 17, 3)
    assert name == "2007_000039"
    np.testing.assert_array_equal(mask, np.asarray(Image.open(folder / "SegmentationClass/2007_000039.png")))
    assert (mask[0] == 255).all()


def test_classes_and_palette_are_vocs(tmp_path):
    write_layout(tmp_path)
    dataset = Voc(tmp_path)
    assert len(dataset.classes) == 21
    assert (dataset.classes[0], dataset.classes[15], dataset.classes[20]) == (
        "background",
        "person",
        "tvmonitor",
    )
    # Published with the development kit: person is (192, 128, 128), tv monitor (0, 64, 128).
    assert dataset.palette[[0, 1, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [192, 128, 128], [0, 64, 128]]


@pytest.mark.parametrize("listed", [True, False])
def test_trainval(tmp_path, listed):
    write_layout(tmp_path)
    if listed:
        (tmp_path / "ImageSets/Segmentation/trainval.txt").write_text("2007_000033\n2007_000032\n")
    names = [entry.id for entry in Voc(tmp_path, "trainval").entries]
    assert names == (["2007_000033", "2007_000032"] if listed else SPLITS["train"] + SPLITS["val"])


def test_images_may_have_any_extension_and_lie_in_subfolders(tmp_path):
    write_layout(tmp_path, {"train": ["a.b", "c"]}, suffix=".PNG")
    (tmp_path / "JPEGImages/d").mkdir()
    (tmp_path / "SegmentationClass/d").mkdir()
    (tmp_path / "JPEGImages/c.PNG").rename(tmp_path / "JPEGImages/d/c.PNG")
    (tmp_path / "SegmentationClass/c.png").rename(tmp_path / "SegmentationClass/d/c.png")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a.b\r\n\r\nd/c\r\n")
    assert [entry.image.name for entry in read_layout(tmp_path, "train")] == ["a.b.PNG", "c.PNG"]


def test_no_voc_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"holds no PASCAL VOC 2012.*give --data.download, or unpack http"):
        Voc(tmp_path / "missing")


def test_unknown_split_names_those_there_are(tmp_path):
    write_layout(tmp_path)
    with pytest.raises(UserError, match=r"test\.txt: there is no such split.*: train, val"):
        Voc(tmp_path, "test")


@pytest.mark.parametrize(("kind", "suffix"), [("JPEGImages", "jpg"), ("SegmentationClass", "png")])
def test_a_split_that_names_a_missing_file(tmp_path, kind, suffix):
    write_layout(tmp_path)
    (tmp_path / kind / f"2007_000039.{suffix}").unlink()
    with pytest.raises(UserError, match=rf"train\.txt: names 2007_000039, but .*{kind}/2007_000039"):
        Voc(tmp_path, "train")


def test_an_empty_split(tmp_path):
    write_layout(tmp_path, {"train": []})
    with pytest.raises(UserError, match=r"train\.txt: is empty"):
        Voc(tmp_path)


def test_two_images_of_one_name(tmp_path):
    write_layout(tmp_path)
    Image.new("RGB", (17, 12)).save(tmp_path / "JPEGImages/2007_000032.png")
    with pytest.raises(UserError, match="the same name"):
        Voc(tmp_path)


def test_a_mask_of_another_size_is_refused_when_read(tmp_path):
    write_layout(tmp_path)
    Image.new("L", (12, 17)).save(tmp_path / "SegmentationClass/2007_000032.png")
    with pytest.raises(UserError, match=r"2007_000032\.png: has 12 x 17 pixels, .*2007_000032\.jpg has 17 x 12"):
        Voc(tmp_path)[0]


def test_a_label_beyond_the_classes_is_refused(tmp_path):
    write_layout(tmp_path)
    Image.new("L", (17, 12), 21).save(tmp_path / "SegmentationClass/2007_000032.png")
    with pytest.raises(UserError, match=r"2007_000032\.png: holds class id 21"):
        Voc(tmp_path)[0]
