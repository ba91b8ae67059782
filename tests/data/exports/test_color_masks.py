"""Color masks with a table of colors, pixel for pixel; datumaro 1.13.12 writes VOC and CamVid itself."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from twinsight.data.exports.color_masks import ColorMasks
from twinsight.data.exports.roboflow import Roboflow
from twinsight.data.samples import voc_palette
from twinsight.errors import UserError
from twinsight.options.detect import detect

NAMES = ("background", "road", "car")
COLORS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142]], np.uint8)
OUTLINE = (224, 224, 192)

TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n",
    "label_colors.txt": "0 0 0 background\n128 64 128 road\n0 0 142 car\n",
    "classes.csv": "name, r, g, b\nbackground, 0, 0, 0\nroad, 128, 64, 128\ncar, 0, 0, 142\n",
    "class_dict.csv": "r,g,b,name\n0,0,0,background\n128,64,128,road\n0,0,142,car\n",
    "classes.json": json.dumps([dict(zip(("name", "r", "g", "b"), (n, *c))) for n, c in zip(NAMES, COLORS.tolist())]),
    "dataset_meta.json": json.dumps({
        "label_map": {"0": "background", "1": "road", "2": "car"}, "segmentation_colors": COLORS.tolist()
    }),
}  # fmt: skip


def scene(index=0):
    """(12, 16) labels of all three classes."""
    labels = np.zeros((12, 16), np.uint8)
    labels[6:] = 1
    labels[4:9, 3 + index : 8 + index] = 2
    return labels


def save(file, pixels, **how):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, **how).save(file)


def export(root, table="labelmap.txt", images="JPEGImages/{}.jpg", masks="SegmentationClass/{}.png", names="abc"):
    for index, name in enumerate(names):
        save(root / images.format(name), np.zeros((12, 16, 3), np.uint8))
        save(root / masks.format(name), COLORS[scene(index)])
    (root / table).write_text(TABLES[table])
    return root


@pytest.mark.parametrize("table", TABLES)
def test_every_table(compare, by_hand, tmp_path, table):
    root = export(tmp_path, table)
    assert detect(root) == "color-masks"
    data = ColorMasks(root, "all")
    assert data.classes == NAMES
    np.testing.assert_array_equal(data.palette, COLORS)
    assert [entry.id for entry in data.entries] == [*"abc"]
    compare(f"color masks, `{table}`", by_hand, ((mask, scene(index)) for index, (_, mask, _) in enumerate(data)))


@pytest.fixture(scope="module")
def datumaro(tool, tmp_path_factory):
    root = tmp_path_factory.mktemp("datumaro")
    tool("write_color_masks.py", root)
    return root


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("voc", "labelmap.txt names no colors"),  # as its map of a source without colors
        ("voc-colors", ""),
        ("voc-indices", ""),  # apply_colormap=False
        ("voc-meta", ""),  # dataset_meta.json in place of labelmap.txt
        ("voc-void", ""),  # a class called ignored, in the color of VOC's outline
        ("camvid", "label_colors.txt names no colors"),
        ("camvid-colors", ""),
        ("camvid-bare", "label_colors.txt names no colors"),  # a source without background, which is in no line then
        ("camvid-void", ""),
    ],
)
def test_what_datumaro_writes(datumaro, compare, form, note):
    assert detect(datumaro / form) == "color-masks"
    data = ColorMasks(datumaro / form, "all")
    assert data.classes == ("background", "road", "car", "tree")
    assert data.split_note.startswith("4 train, 2 val")
    assert note in data.split_note
    truths = [np.load(datumaro / "truth" / f"{name.split('/')[-1]}.npy") for _, _, name in data]
    if form.endswith("void"):
        for truth in truths:
            truth[0] = 255
    pairs = ((mask, truth) for (_, mask, _), truth in zip(data, truths))
    compare(f"color masks, {'VOC' if form.startswith('voc') else 'CamVid'}", "datumaro 1.13.12", pairs)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("train/{}.png", "train_labels/{}_L.png"),  # CamVid as Kaggle has it
        ("default/{}.jpg", "defaultannot/{}.png"),  # CVAT's CamVid
        ("{}_sat.jpg", "{}_mask.png"),  # DeepGlobe
        ("street/images/{}.jpg", "street/gt/{}-labels.png"),
    ],
)
def test_layouts(tmp_path, images, masks):
    data = ColorMasks(export(tmp_path, "class_dict.csv", images, masks), "all")
    assert [entry.mask for entry in data.entries] == [tmp_path / masks.format(name) for name in "abc"]
    np.testing.assert_array_equal(data[1].mask, scene(1))


def test_cvat_without_and_with_splits(tmp_path):
    root = export(tmp_path, names="abcdefgh")
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("".join(f"{name}\n" for name in "abcdefg"))
    data = ColorMasks(root)
    assert data.title == "color masks with labelmap.txt"
    assert "20 % of train held out by a hash of names" in data.split_note
    assert data.split_note.endswith("; left out: 1 image without masks or in no list")
    (lists / "default.txt").rename(lists / "train.txt")
    (lists / "val.txt").write_text("h\n")
    assert [entry.id for entry in ColorMasks(root, "val").entries] == ["h"]
    assert ColorMasks(root).split_note == "7 train, 1 val, as the lists say"
    (lists / "val.txt").write_text("i\n")
    with pytest.raises(UserError, match=r"val\.txt: names i, which has no image or no mask"):
        ColorMasks(root)


def test_palette_tiff_and_gray_indices_are_read_alike(tmp_path):
    root = export(tmp_path)
    palette = Image.fromarray(scene(), mode="P")
    palette.putpalette(COLORS.tobytes())
    palette.save(root / "SegmentationClass/a.png")
    (root / "SegmentationClass/b.png").unlink()
    Image.fromarray(COLORS[scene(1)]).save(root / "SegmentationClass/b.tif")
    for index, (_, mask, _) in enumerate(ColorMasks(root, "all")):
        np.testing.assert_array_equal(mask, scene(index))
    for index, name in enumerate("abc"):  # datumaro's apply_colormap=False
        (root / "SegmentationClass/b.tif").unlink(missing_ok=True)
        save(root / f"SegmentationClass/{name}.png", scene(index))
    for index, (_, mask, _) in enumerate(ColorMasks(root, "all")):
        np.testing.assert_array_equal(mask, scene(index))


def test_void_is_a_class_called_so_and_vocs_outline(tmp_path):
    root = export(tmp_path)
    (root / "labelmap.txt").write_text(TABLES["labelmap.txt"] + "Unlabeled:9,9,9::\n")
    pixels = COLORS[scene()]
    pixels[0], pixels[1] = 9, OUTLINE
    save(root / "SegmentationClass/a.png", pixels)
    data = ColorMasks(root, "all")
    assert data.classes == NAMES
    assert (data[0].mask[:2] == 255).all()
    (root / "labelmap.txt").write_text(TABLES["labelmap.txt"] + "Unlabeled:9,9,9::\nroof:224,224,192::\n")
    data = ColorMasks(root, "all")
    assert data.classes == (*NAMES, "roof")
    assert (data[0].mask[:2, 0] == [255, 3]).all()


def test_a_color_of_no_class_is_named_with_its_pixels(tmp_path):
    root = export(tmp_path)
    pixels = COLORS[scene()]
    pixels[:3, :5] = 70, 130, 180
    save(root / "SegmentationClass/a.png", pixels)
    with pytest.raises(UserError) as error:
        ColorMasks(root, "all")[0]
    assert str(error.value) == (
        f"{root / 'SegmentationClass/a.png'}: holds 15 pixels of the color 70,130,180, which {root / 'labelmap.txt'} "
        "gives to no class; add the class (NAME:70,130,180::), or correct the mask"
    )


def test_many_mixed_colors_are_no_missing_class(tmp_path):
    """Smoothing that leaves thin objects no pixel of their color: nothing near is one of the two that were mixed."""
    root = export(tmp_path)
    drawn = COLORS[np.random.default_rng(0).integers(0, 3, (60, 80))]
    save(root / "JPEGImages/a.jpg", drawn)
    save(root / "SegmentationClass/a.png", cv2.GaussianBlur(drawn, (5, 5), 1))
    with pytest.raises(UserError, match=r"a\.png: has [\d,]+ pixels of mixed colors, .* in all, none of them common"):
        ColorMasks(root, "all", edges="void")[0]


@pytest.mark.parametrize("thickness", [1, 2, 6])
def test_a_thin_class_that_is_missing_is_no_smoothed_edge(tmp_path, thickness):
    root = export(tmp_path)
    pixels = COLORS[scene()]
    pixels[:, 10 : 10 + thickness] = 244, 35, 232
    save(root / "SegmentationClass/a.png", pixels)
    with pytest.raises(UserError, match=f"holds {12 * thickness} pixels of the color 244,35,232"):
        ColorMasks(root, "all", edges="void")[0]


def test_smoothed_edges_are_told_apart_and_may_be_void(tmp_path):
    root = export(tmp_path, names="ab")
    large = cv2.resize(COLORS[scene()], (160, 120), interpolation=cv2.INTER_NEAREST)
    smooth = cv2.blur(large, (3, 3))
    save(root / "JPEGImages/a.jpg", large)
    save(root / "SegmentationClass/a.png", smooth)
    with pytest.raises(UserError, match=r"a\.png: has [\d,]+ pixels of mixed colors along edges.*--data\.edges void"):
        ColorMasks(root, "all")[0]
    mask = ColorMasks(root, "all", edges="void")[0].mask
    labels = cv2.resize(scene(), (160, 120), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(mask[mask != 255], labels[mask != 255])
    np.testing.assert_array_equal(mask == 255, (smooth != large).any(axis=2))


@pytest.mark.parametrize(
    ("table", "text", "sentence"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\n", "names no class; write one per line, as NAME:128,0,0::"),
        ("labelmap.txt", "a:0,0,0::\nb:0,0,0::\n", "gives a and b one color, 0,0,0"),
        ("labelmap.txt", "a:0,0,0::\nb:0,0,999::\n", "0,0,999 is not a color"),
        ("labelmap.txt", "a:0,0,0::\nb:::\n", "gives b no color, but others one"),
        ("labelmap.txt", "a:0,0,0::\na:0,0,9::\n", "names 2 classes, 1 of them different"),
        ("classes.csv", "name,r,g,b\nroad,1,2\n", "has the line road,1,2, not name,r,g,b"),
    ],
)
def test_a_table_that_contradicts_itself(tmp_path, table, text, sentence):
    root = export(tmp_path, table)
    (root / table).write_text(text)
    with pytest.raises(UserError, match=f"{table}: {sentence}"):
        ColorMasks(root, "all")


def test_what_is_missing_is_named(tmp_path):
    root = export(tmp_path)
    (root / "JPEGImages/b.jpg").unlink()
    with pytest.raises(UserError, match=r"b\.png: has no image of its name .* \(1 of 3 masks.*CVAT: Save images"):
        ColorMasks(root)
    (root / "SegmentationClass/b.png").unlink()
    (root / "SegmentationClass/a.png").rename(root / "SegmentationClass/a.jpg")
    save(root / "SegmentationClass/a.jpg", COLORS[scene()])
    with pytest.raises(UserError, match=r"a\.jpg: is not a PNG, BMP, GIF or TIFF"):
        ColorMasks(root, "all")[0]


@pytest.mark.parametrize("splits", [("train", "valid", "test"), ("",)])
def test_roboflow(compare, by_hand, tmp_path, splits):
    for split in splits:
        for index in range(3):
            save(tmp_path / split / f"a{index}_jpg.rf.0c{index}.jpg", np.zeros((12, 16, 3), np.uint8))
            save(tmp_path / split / f"a{index}_jpg.rf.0c{index}_mask.png", np.array([0, 2, 7], np.uint8)[scene(index)])
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n2, road\n7, car\n")
    assert detect(tmp_path) == "roboflow"
    data = Roboflow(tmp_path, "all")
    assert data.classes == NAMES
    assert data.split_note.startswith("3 train, 3 val, 3 test" if splits[0] else "")
    assert len(data) == (6 if splits[0] else 3)
    layout = f"Roboflow masks, {'by split' if splits[0] else 'in one folder'}"
    compare(layout, by_hand, ((mask, scene(int(name.split("/")[-1][1]))) for _, mask, name in data))


def test_vocs_colors_stand_for_those_that_datumaro_leaves_out(tmp_path):
    root = export(tmp_path)
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:::\nroad:::\ncar:::\n")
    save(root / "SegmentationClass/a.png", voc_palette(3)[scene()])
    data = ColorMasks(root, "all")
    np.testing.assert_array_equal(data[0].mask, scene())
    assert "labelmap.txt names no colors, as datumaro writes it, so they are VOC's" in data.split_note
