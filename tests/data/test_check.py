import threading
from io import StringIO

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from twinsight.data.check import check
from twinsight.data.checkup.tables import render
from twinsight.data.folder import Folder
from twinsight.data.samples import Dataset, Entry
from twinsight.data.shapes import Shapes

RNG = np.random.default_rng(0)
CLASSES = ("sky", "road", "[car]", "never")


def kinds(verdict):
    return [finding.kind for finding in verdict.findings]


def text(verdict):
    console = Console(width=500, record=True, file=StringIO())
    console.print(render(verdict))
    return console.export_text()


@pytest.fixture
def pairs(tmp_path):
    """Six pairs of different sizes, whose masks hold three of four classes and void."""
    masks = []
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(6):
        masks.append(RNG.choice(np.array([0, 1, 1, 1, 2, 255], np.uint8), (10 + i, 20 - i)))
        masks[i][masks[i] == 2] = 2 if i < 2 else 0
        pixels = RNG.integers(0, 256, (*masks[i].shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{i}.png")
        Image.fromarray(masks[i]).save(tmp_path / f"masks/{i}.png")
    return Folder(tmp_path / "images", "all", tmp_path / "masks", CLASSES), masks


def test_classes_are_counted_as_numpy_counts_them(pairs):
    dataset, masks = pairs
    verdict = check(dataset)
    tally = verdict.facts.tally
    for label in (0, 1, 2, 3, 255):
        assert tally.pixels[label] == sum((mask == label).sum() for mask in masks)
        assert tally.images[label] == sum((mask == label).any() for mask in masks)
    assert tally.pixels.sum() == sum(mask.size for mask in masks)
    assert tally.images[2] == 2
    assert kinds(verdict) == ["tiny", "absent class"]
    np.testing.assert_array_equal(verdict.sizes, [mask.shape for mask in masks])


def test_each_broken_file_is_named_and_the_rest_is_read(pairs, tmp_path):
    dataset, _ = pairs
    (tmp_path / "images/1.png").write_bytes((tmp_path / "images/1.png").read_bytes()[:100])
    (tmp_path / "masks/2.png").unlink()
    Image.new("L", (3, 3)).save(tmp_path / "masks/3.png")
    Image.new("L", (16, 14), 4).save(tmp_path / "masks/4.png")
    verdict = check(dataset)
    broken = verdict.findings[0]
    assert verdict.verdict == "unsound"
    assert (broken.kind, broken.count) == ("broken", 4)
    assert len(verdict.sizes) == 2
    reasons = (
        "images/1.png: cannot be read",
        "masks/2.png: ",
        "masks/3.png: has 3 x 3",
        "masks/4.png: holds class id 4",
    )
    assert len(broken.more) == len(reasons)
    for sentence, reason in zip(broken.more, reasons):
        assert reason in sentence
        assert sentence in text(verdict)


def test_ids_that_occur_twice_and_equal_images(tmp_path):
    first, second = RNG.integers(0, 256, (2, 60, 40), np.uint8)
    for name, pixels in (("a", first), ("b", second), ("c", first), ("turned", first.reshape(40, 60))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    entries = [Entry(name, tmp_path / f"{name}.png") for name in ("a", "b", "c", "turned")]
    verdict = check(Dataset(entries))
    assert verdict.verdict == "usable"
    (finding,) = verdict.findings
    assert (finding.kind, finding.count, [entry.id for entry in finding.entries]) == ("same image", 1, ["a", "c"])
    assert finding.text.startswith(
        f"{tmp_path}/c.png: shows the same as {tmp_path}/a.png (1 of 4 images of train, in 1 g"
    )
    verdict = check(Dataset([*entries, Entry("b", tmp_path / "b.png")]))
    assert verdict.findings[0].text == "b: is the id of 2 samples; rename them"


def test_images_without_masks(tmp_path):
    Image.new("RGB", (7, 5)).save(tmp_path / "a.jpg")
    verdict = check(Folder(tmp_path))
    assert verdict.facts.tally.pixels.sum() == 0
    lines = [line.strip() for line in text(verdict).splitlines()]
    assert lines == [
        "height: 5 to 5 pixels, median 5",
        "width: 7 to 7 pixels, median 7",
        "pixels: 1 RGB",
        f"check: {tmp_path}/a.jpg: is blank or of one color (1 of 1 image of train); remove it",
        "usable: 1 sample read; it can be trained on; look at the findings first",
    ]


def test_masks_that_are_drawn_are_counted():
    shapes = Shapes(count=5, size=33)
    expected = sum(np.bincount(sample.mask.ravel(), minlength=256) for sample in shapes)
    verdict = check(shapes)
    assert np.array_equal(verdict.facts.tally.pixels, expected)
    assert verdict.facts.tally.pixels.sum() == 5 * 33 * 33


def test_nothing_but_broken_files(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    verdict = check(Folder(tmp_path))
    assert verdict.sizes.shape == (0, 2)
    assert "unsound: 0 samples read" in text(verdict)


def test_progress_is_reported_after_each_sample_in_the_calling_thread(pairs):
    seen = []
    check(pairs[0], lambda done, total: seen.append((done, total, threading.current_thread())))
    assert seen == [(done, 6, threading.main_thread()) for done in range(1, 7)]


def test_a_defect_of_ours_is_no_broken_file(pairs):
    class Defect(Folder):
        def image(self, index):
            raise ZeroDivisionError

    dataset, _ = pairs
    dataset.__class__ = Defect
    with pytest.raises(ZeroDivisionError):
        check(dataset)


def test_the_table_shows_shares_and_void(pairs):
    dataset, masks = pairs
    shown = text(check(dataset))
    total = sum(mask.size for mask in masks)
    for name, label in (("sky", 0), ("road", 1), ("[car]", 2), ("never", 3), ("void", 255)):
        row = next(line for line in shown.splitlines() if name in line)
        count = sum(int((mask == label).sum()) for mask in masks)
        assert str(count) in row
        assert f"{100 * count / total:.2f}%" in row
    assert "no mask of train holds a pixel of never" in shown
