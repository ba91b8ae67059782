"""Faults planted in a sound data set, one kind at a time and all together: found, missed, false alarms."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from twinsight.data.check import check
from twinsight.data.checkup import collection
from twinsight.data.checkup.collection import collect
from twinsight.data.checkup.shared import shared_findings
from twinsight.data.folder import Folder
from twinsight.data.shapes import Shapes, write

COUNT = 60
"""Images of each split; the faults are in train, in images that are far apart."""


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "shapes"
    write(folder, Shapes("train", COUNT, 128), Shapes("val", COUNT, 128))
    return folder


@pytest.fixture
def planted(sound, tmp_path):
    """A copy in which any file may be replaced: (image, mask) paths of sample i of a split."""
    for file in sound.rglob("*"):
        target = tmp_path / file.relative_to(sound)
        if file.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(file.read_bytes())
    return tmp_path


def image(root, i, split="train"):
    return root / f"JPEGImages/{split}_{i:06d}.jpg"


def mask(root, i, split="train"):
    return root / f"SegmentationClass/{split}_{i:06d}.png"


def edit_mask(root, i, edit):
    with Image.open(mask(root, i)) as file:
        labels, palette = np.array(file), file.getpalette()
    new = Image.fromarray(edit(labels), mode="P")
    new.putpalette(palette)
    new.save(mask(root, i))


def edit_image(root, i, edit, **saving):
    with Image.open(image(root, i)) as file:
        edit(file.convert("RGB")).save(image(root, i), "JPEG", quality=95, **saving)


def of_size(root, i, size):
    edit_image(root, i, lambda picture: picture.resize(size))
    edit_mask(root, i, lambda labels: np.array(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)))


def copied(root, i):
    """Sample i of train is sample i of val too."""
    image(root, i, "val").write_bytes(image(root, i).read_bytes())
    mask(root, i, "val").write_bytes(mask(root, i).read_bytes())


def saved_anew(root, i):
    copied(root, i)
    with Image.open(image(root, i)) as file:
        file.resize((96, 96)).resize(file.size).save(image(root, i, "val"), quality=60)


def other_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()


def sixteen_bits(root, i):
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (128, 128), np.uint16)).save(image(root, i), "PNG")


def turned():
    exif = Image.Exif()
    exif[274] = 3
    return exif


FAULTS = {
    "broken": lambda root, i: image(root, i).write_bytes(image(root, i).read_bytes()[:900]),
    "tiny": lambda root, i: of_size(root, i, (12, 12)),
    "one color": lambda root, i: edit_image(root, i, lambda picture: Image.new("RGB", picture.size, (9, 90, 30))),
    "one class": lambda root, i: edit_mask(root, i, lambda labels: np.full_like(labels, 2)),
    "void mask": lambda root, i: edit_mask(root, i, lambda labels: np.full_like(labels, 255)),
    "0 and 255": lambda root, i: edit_mask(root, i, lambda labels: np.where(labels, 255, 0).astype(np.uint8)),
    "misplaced": lambda root, i: edit_mask(root, i, lambda labels: np.roll(labels, (17, 21), (0, 1))),
    "orientation": lambda root, i: edit_image(root, i, lambda picture: picture.rotate(180), exif=turned()),
    "profile": lambda root, i: edit_image(root, i, lambda picture: picture, icc_profile=other_profile()),
    "gray": lambda root, i: edit_image(root, i, lambda picture: picture.convert("L")),
    "CMYK": lambda root, i: edit_image(root, i, lambda picture: picture.convert("CMYK")),
    "16-bit gray": sixteen_bits,
    "in both splits": copied,
    "nearly in both splits": saved_anew,
}
"""Each kind of finding, and what plants one."""

WHERE = {kind: 2 + 4 * number for number, kind in enumerate(FAULTS)}


def findings(root):
    checkups = [check(Folder(root, split), split=split) for split in ("train", "val")]
    return [each for one in checkups for each in one.findings] + shared_findings(*(one.facts for one in checkups))


def test_nothing_is_found_in_a_sound_set(sound):
    assert findings(sound) == []


def test_every_planted_fault_is_found_and_nothing_else(planted):
    for kind, plant in FAULTS.items():
        plant(planted, WHERE[kind])
    found = [(each.kind, int(entry.id[-6:])) for each in findings(planted) for entry in each.entries]
    assert set(found) == set(WHERE.items())


def test_groups_of_copies_within_a_split(planted):
    for i, j in ((4, 9), (4, 30), (20, 21)):
        image(planted, j).write_bytes(image(planted, i).read_bytes())
        mask(planted, j).write_bytes(mask(planted, i).read_bytes())
    edit_image(planted, 30, lambda picture: picture.resize((96, 96)).resize(picture.size))
    same, near = check(Folder(planted)).findings
    for finding, kind, groups in ((same, "same image", [4, 9, 20, 21]), (near, "near copies", [4, 30])):
        assert (finding.kind, finding.weight) == (kind, "check")
        assert [int(entry.id[-6:]) for entry in finding.entries] == groups
    assert "(2 of 60 images of train, in 2 groups)" in same.text
    assert "(1 of 60 images of train, in 1 group)" in near.text


def test_all_masks_shifted(planted):
    for i in range(COUNT):
        edit_mask(planted, i, lambda labels: np.roll(labels, 12, 1))
    (finding,) = check(Folder(planted)).findings
    assert (finding.kind, finding.weight, finding.count) == ("misplaced", "check", COUNT)
    assert "best if moved by -12, +0 pixels" in finding.text


def test_images_that_differ_in_nothing(planted):
    for i in range(COUNT):
        image(planted, i).write_bytes(image(planted, 0).read_bytes())
    checkup = check(Folder(planted))
    assert checkup.verdict == "unsound"
    assert checkup.findings[0].kind == "same image"


def test_a_fixed_camera_is_one_finding(planted):
    for i in range(COUNT):
        copied(planted, 0) if i == 0 else image(planted, i, "val").write_bytes(image(planted, 0).read_bytes())
    val = check(Folder(planted, "val"), split="val")
    (finding,) = shared_findings(check(Folder(planted)).facts, val.facts)
    assert finding.count == COUNT
    assert f"is in train too, as {image(planted, 0)} ({COUNT} of {COUNT} images of val)" in finding.text


def test_processes_find_what_threads_find(planted, monkeypatch):
    image(planted, 3).write_bytes(b"broken")
    by_threads = collect(Folder(planted, "train"), "train")
    monkeypatch.setattr(collection, "MANY", 1)
    by_processes = collect(Folder(planted, "train"), "train")
    assert len(by_processes.broken) == 1
    assert repr(by_processes.kept) == repr(by_threads.kept)  # NaN is not equal to NaN
    assert repr(by_processes.broken) == repr(by_threads.broken)
    assert (by_processes.smallest, by_processes.largest) == (by_threads.smallest, by_threads.largest)
    np.testing.assert_array_equal(by_processes.tally.pixels, by_threads.tally.pixels)
    np.testing.assert_array_equal(by_processes.scores, by_threads.scores)
