"""The bits of 16-bit images, decided once for a data set."""

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from twinsight.data.cache import Cached
from twinsight.data.class_folder import ClassFolder
from twinsight.data.depth import decide_bits
from twinsight.data.folder import Folder
from twinsight.data.reading import Reading
from twinsight.data.samples import Dataset, Entry
from twinsight.errors import Remark, UserError
from twinsight.options.data import FolderOptions

RNG = np.random.default_rng(0)


@pytest.fixture
def xrays(tmp_path):
    """30 images of 12 bits, most of them dim, and as many masks."""
    files = []
    for i in range(30):
        values = RNG.integers(0, 4096 if i % 2 else 900, (8, 9)).astype(np.uint16)
        files.append(tmp_path / f"{i:02}.{'png' if i % 3 else 'tif'}")
        cv2.imwrite(str(files[-1]), values)
    return files


def opened(files):
    return Dataset([Entry(file.name, file) for file in files])


def expected(file, bits):
    return np.repeat((cv2.imread(str(file), cv2.IMREAD_UNCHANGED) >> (bits - 8))[..., None], 3, axis=2)


def test_all_are_read_by_the_same_bits_and_it_is_said(xrays):
    dataset = opened(xrays)
    with pytest.warns(Remark, match=r"read as 12-bit: the largest value in the 16 sampled is 4\d\d\d"):
        assert dataset.reading.bits == 12
    images = [dataset.image(i) for i in range(len(dataset))]
    for file, image in zip(xrays, images):
        np.testing.assert_array_equal(image, expected(file, 12))
    assert max(image.max() for image in images) == 255


@pytest.mark.parametrize(
    ("top", "bits"), [(255, 8), (256, 10), (1023, 10), (4095, 12), (4096, 14), (16383, 14), (16384, 16), (65535, 16)]
)
def test_the_fewest_bits_that_hold_the_largest_value(tmp_path, top, bits):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, top]], np.uint16))
    with pytest.warns(Remark, match=f"read as {bits}-bit"):
        assert decide_bits([tmp_path / "a.png"], 250) == bits


def test_the_splits_of_a_data_set_are_read_alike(xrays):
    dim = opened(xrays[::2])
    dim.relatives = xrays
    with pytest.warns(Remark, match="read as 12-bit"):
        assert dim.reading.bits == 12


def test_given_bits_hold_and_nothing_is_looked_at(xrays):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = opened(xrays)
        assert dataset.read_as(16) == 16
        np.testing.assert_array_equal(dataset.image(1), expected(xrays[1], 16))


def test_images_of_8_bits_decide_nothing(tmp_path):
    for name in ("a.jpg", "b.png", "c.tif", "d.jp2"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decide_bits(sorted(tmp_path.iterdir()), 250) is None


def test_a_brighter_image_than_those_looked_at_is_named(xrays):
    cv2.imwrite(str(xrays[2]), np.full((8, 9), 9000, np.uint16))  # 16 of 30 are looked at, not this one
    dataset = opened(xrays)
    with pytest.warns(Remark):
        assert dataset.reading.bits == 12
    with pytest.raises(UserError, match=r"02\.png: holds the value 9000, .* read as 12-bit.*--data\.bits 14"):
        dataset.image(2)


def test_a_cache_holds_the_same_pixels_and_knows_its_bits(xrays, tmp_path):
    dataset = opened(xrays)
    dataset.read_as(12)
    cached = Cached(dataset, tmp_path / "cache")
    np.testing.assert_array_equal(cached.image(1), expected(xrays[1], 12))
    dataset.read_as(16)
    with pytest.raises(UserError, match="is the cache of other images, classes or bits"):
        Cached(dataset, tmp_path / "cache")


def test_options_keep_what_was_found_for_the_other_split_and_for_whoever_goes_on(xrays):
    options = FolderOptions(root=xrays[0].parent)
    with pytest.warns(Remark, match="read as 12-bit"):
        options = options.settled(options.open("train"))
    assert options.bits == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert options.open("train").reading == Reading(12, 250)


@pytest.mark.parametrize("layout", ["pairs", "voc", "stated", "classes"])
def test_both_splits_of_a_root_are_read_by_the_same_bits(tmp_path, layout):
    """The one bright image is in one of them."""
    images = tmp_path / ("JPEGImages" if layout == "voc" else "images")
    masks = tmp_path / ("SegmentationClass" if layout == "voc" else "masks")
    names = {"voc": [f"{i}" for i in range(6)], "pairs": [f"{i}" for i in range(6)]}.get(
        layout, [f"{split}/{kind}/{i}" for split in ("train", "val") for kind in "ab" for i in range(2)]
    )
    for i, name in enumerate(names):
        for folder, value in ((images, 3000 if i == 0 else 200), (masks, 0)):
            (folder / f"{name}.png").parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{name}.png"), np.full((4, 5), value, np.uint16 if value else np.uint8))
    (tmp_path / "classes.txt").write_text("a\nb\n")
    if layout == "voc":
        (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
        for split, chosen in (("train", names[:3]), ("val", names[3:])):
            (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(chosen))
    if layout == "classes":
        datasets = [ClassFolder(images, split) for split in ("train", "val")]
    else:
        given = {} if layout == "voc" else {"masks": masks, "classes": tmp_path / "classes.txt", "val_fraction": 0.5}
        root = tmp_path if layout == "voc" else images
        datasets = [Folder(root, split, **given) for split in ("train", "val")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Remark)
        assert [dataset.reading.bits for dataset in datasets] == [12, 12]
