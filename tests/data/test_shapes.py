import multiprocessing

import numpy as np
import pytest
from PIL import Image

from twinsight.data import shapes
from twinsight.data.shapes import CLASSES, LUMA, Shapes, lightness, tint, write
from twinsight.errors import UserError


def test_a_sample_agrees_with_its_parts():
    dataset = Shapes("train", count=3, size=50)
    assert len(dataset) == 3
    for index in range(3):
        sample = dataset[index]
        assert sample.image.shape == (50, 50, 3)
        assert sample.image.dtype == np.uint8
        assert sample.mask is not None
        assert sample.mask.dtype == np.uint8
        np.testing.assert_array_equal(sample.image, dataset.image(index))
        np.testing.assert_array_equal(sample.mask, dataset.mask(index))
    assert len({sample.id for sample in dataset}) == 3


def render_last(_: int) -> np.ndarray:
    return Shapes("train", count=8, size=48).image(7)


def test_an_image_depends_on_seed_split_and_index_alone():
    expected = Shapes("train", count=8, size=48).image(7)
    np.random.seed(1)
    few = Shapes("train", count=100, size=48)
    few.image(3)
    np.testing.assert_array_equal(few.image(7), expected)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.map(render_last, [0])[0], expected)
    others = [few.image(6), Shapes("val", size=48).image(7), Shapes("train", size=48, seed=1).image(7)]
    assert not any(np.array_equal(other, expected) for other in others)


def test_rendering_leaves_the_global_generator_alone():
    np.random.seed(0)
    before = np.random.get_state()[1]
    Shapes(count=1).image(0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_masks_hold_every_class_in_balance_and_no_void():
    dataset = Shapes("val", count=400, size=32, objects=1)
    labels = [np.unique(dataset.mask(index)) for index in range(400)]
    assert all(found[0] == 0 and len(found) == 2 for found in labels)
    share = np.bincount([found[1] for found in labels], minlength=len(dataset.classes)) / 400
    np.testing.assert_allclose(share[1:], 1 / len(CLASSES), atol=0.06)


@pytest.mark.parametrize(
    ("name", "area"),
    [("striped disk", np.pi), ("dotted square", 1.6**2), ("spoked ring", np.pi * (1 - 0.48**2))],
)
def test_the_mask_is_the_form(name: str, area: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shapes, "CLASSES", {name: CLASSES[name]})
    dataset = Shapes(count=20, size=200, objects=1, radius=(0.2, 0.2))
    monkeypatch.setattr(shapes, "place", lambda *_: np.float32([0.5, 0.5]))
    pixels = [np.count_nonzero(dataset.mask(index)) for index in range(20)]
    np.testing.assert_allclose(pixels, area * 40**2, rtol=0.02)


def test_later_objects_lie_on_top_and_hide_what_is_below(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shapes, "CLASSES", {"striped disk": CLASSES["striped disk"]})
    monkeypatch.setattr(shapes, "place", lambda *_: np.float32([0.5, 0.5]))
    covered = Shapes(count=1, size=64, objects=2, crowding=1, radius=(0.4, 0.4))
    alone = Shapes(count=1, size=64, objects=1, radius=(0.4, 0.4))
    np.testing.assert_array_equal(covered.mask(0), alone.mask(0))


def test_more_and_smaller_objects():
    dataset = Shapes(count=30, size=128, objects=12, crowding=0.9, radius=(0.05, 0.1))
    found = [np.unique(dataset.mask(index)) for index in range(30)]
    assert np.mean([len(labels) for labels in found]) > 4


def test_color_tells_nothing_of_the_class():
    """Mean colors of the classes' pixels differ by no more than chance: hue is drawn apart from the class."""
    dataset = Shapes(count=1500, size=24, objects=1)
    colors: list[list[np.ndarray]] = [[] for _ in dataset.classes]
    for image, mask, _ in dataset:
        assert mask is not None
        colors[mask.max()].append(image[mask > 0].mean(axis=0))
    means = np.stack([np.mean(of_class, axis=0) for of_class in colors[1:]])
    deviations = means - means.mean(axis=0)
    standard_error = np.std(np.concatenate(colors[1:]), axis=0) / np.sqrt(1500 / len(CLASSES))
    assert np.all(abs(deviations) < 4 * standard_error)


def test_lightness_keeps_background_and_colors_apart():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        levels = lightness(rng)
        assert np.diff(np.sort(levels)).min() >= 0.22 - 1e-9
        color = tint(rng, levels[0])
        assert color.min() >= -1e-6
        assert color.max() <= 1 + 1e-6
        assert color @ LUMA == pytest.approx(levels[0], abs=1e-5)


def test_texture_makes_the_background_louder():
    def loudness(texture: float) -> float:
        dataset = Shapes(count=10, size=64, objects=1, texture=texture)
        return float(np.mean([image[mask == 0].std(axis=0).mean() for image, mask, _ in dataset]))

    assert loudness(0) < loudness(0.2) < loudness(1)


def test_palette_colors_are_distinct():
    dataset = Shapes(count=1)
    assert dataset.palette.shape == (len(dataset.classes), 3)
    assert len(np.unique(dataset.palette, axis=0)) == len(dataset.classes)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"split": "test"}, "split"),
        ({"count": 0}, "count 0"),
        ({"size": 8}, "size 8"),
        ({"objects": 0}, "objects 0"),
        ({"seed": -1}, "seed -1"),
        ({"radius": (0.4, 0.3)}, "radius"),
        ({"radius": (0.4, 0.6)}, "radius"),
        ({"texture": 1.5}, "texture"),
        ({"crowding": -0.1}, "crowding"),
    ],
)
def test_bad_options(options: dict, named: str):
    with pytest.raises(UserError, match=named):
        Shapes(**options)


@pytest.mark.parametrize("exists", [False, True])
def test_write_makes_voc_layout(tmp_path, exists: bool):
    folder = tmp_path / "made"
    if exists:
        folder.mkdir()
    train, val = Shapes("train", count=3, size=40), Shapes("val", count=2, size=40)
    write(folder, train, val)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (folder / "classes.txt").read_text().splitlines() == list(train.classes)
    for dataset in (train, val):
        ids = (folder / "ImageSets" / "Segmentation" / f"{dataset.split}.txt").read_text().split()
        assert ids == [entry.id for entry in dataset.entries]
        for index, name in enumerate(ids):
            with Image.open(folder / "SegmentationClass" / f"{name}.png") as mask:
                assert mask.mode == "P"
                np.testing.assert_array_equal(np.array(mask), dataset.mask(index))
                palette = np.array(mask.getpalette()).reshape(-1, 3)
                np.testing.assert_array_equal(palette[: len(train.classes)], train.palette)
            with Image.open(folder / "JPEGImages" / f"{name}.jpg") as image:
                # JPEG at quality 95 with halved color stays close in the mean, not at each colored edge.
                assert abs(np.array(image).astype(int) - dataset.image(index)).mean() < 8


def test_write_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        write(tmp_path, Shapes(count=1), Shapes("val", count=1))
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_broken_write_leaves_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shapes, "write_split", full)
    with pytest.raises(UserError, match="No space left on device"):
        write(tmp_path / "made", Shapes(count=1), Shapes("val", count=1))
    assert list(tmp_path.iterdir()) == []
