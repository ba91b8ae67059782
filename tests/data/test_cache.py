"""A cache against the data set that it is of: the same pixels, whatever interrupts it, and never of other files."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from twinsight.data import cache
from twinsight.data.cache import Cached
from twinsight.data.decode import decode_image
from twinsight.data.folder import Folder
from twinsight.data.loader import Views, train_loader
from twinsight.data.views import MultiView, View
from twinsight.errors import UserError

SIZES = [(20, 30), (31, 17), (1, 1), (40, 40), (9, 50), (33, 2), (12, 12)]
BYTES = 3 * sum(height * width for height, width in SIZES)


@pytest.fixture
def photos(tmp_path):
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i, size in enumerate(SIZES):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6 if i == 1 else 1
        Image.fromarray(pixels).save(folder / f"{i}.{'jpg' if i % 2 else 'png'}", exif=exif)
    return Folder(folder)


@pytest.fixture
def decoded(monkeypatch):
    """The indices of the images that are decoded from here on."""
    indices, image = [], Folder.image

    def counted(self, index):
        indices.append(index)
        return image(self, index)

    monkeypatch.setattr(Folder, "image", counted)
    return indices


def same(cached, dataset) -> bool:
    return all(np.array_equal(cached.image(i), decode_image(entry.image)) for i, entry in enumerate(dataset.entries))


def test_the_pixels_are_those_of_the_files_decoded_once(photos, tmp_path, decoded):
    told, progress = [], []
    cached = Cached(photos, tmp_path / "cache", told.append, lambda *counts: progress.append(counts))
    assert same(cached, photos)
    assert told == [BYTES]
    assert progress == [(7, 7)]
    assert (tmp_path / "cache" / "pixels").stat().st_size == BYTES
    again = Cached(photos, tmp_path / "cache")
    assert same(again, photos)
    assert sorted(decoded) == list(range(7))
    assert np.array_equal(again.image(-1), again.image(6))
    image, mask, name = again[3]
    assert (image.shape, mask, name) == ((40, 40, 3), None, "3.jpg")
    assert (len(again), again.entries) == (7, photos.entries)


def test_the_size_is_told_before_anything_is_decoded(photos, tmp_path, decoded):
    Cached(photos, tmp_path / "cache", lambda size: decoded.append(("tell", size)))
    assert decoded[0] == ("tell", BYTES)


def test_an_interrupted_cache_goes_on_where_it_stopped(photos, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(cache, "BLOCK", 2)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cached(photos, tmp_path / "cache", report=stop)
    assert sorted(decoded) == [0, 1, 2, 3]
    cached = Cached(photos, tmp_path / "cache")
    assert sorted(decoded) == list(range(7))
    assert same(cached, photos)


def test_one_broken_image_is_named_and_mended_alone(photos, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(cache, "BLOCK", 1)
    path = photos.entries[5].image
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(UserError, match=r"5\.jpg: cannot be read"):
        Cached(photos, tmp_path / "cache")
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"5\.jpg: has changed .*files changed for 1 of 7 images"):
        Cached(photos, tmp_path / "cache")
    assert sorted(decoded) == list(range(6))


@pytest.mark.parametrize("what", ["content", "time"])
def test_a_file_that_changed_is_refused(photos, tmp_path, what):
    Cached(photos, tmp_path / "cache")
    path = photos.entries[2].image
    if what == "content":
        before = path.stat()
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(0, 0))
    with pytest.raises(UserError, match=r"2\.png: has changed .*files changed for 1 of 7 .* remove the cache"):
        Cached(photos, tmp_path / "cache")


def test_other_images_and_missing_files_are_refused(photos, tmp_path):
    Cached(photos, tmp_path / "cache")
    fewer = Folder(tmp_path / "photos")
    fewer.entries = fewer.entries[:-1]
    with pytest.raises(UserError, match="cache of other images, classes or bits"):
        Cached(fewer, tmp_path / "cache")
    photos.entries[0].image.unlink()
    with pytest.raises(UserError, match=r"0\.png: cannot be read"):
        Cached(photos, tmp_path / "cache")


def test_a_full_disk_is_told_before_anything_is_decoded(photos, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: cache.shutil._ntuple_diskusage(10, 0, BYTES - 1))
    with pytest.raises(UserError, match="a larger disk"):
        Cached(photos, tmp_path / "cache")
    assert decoded == []


def test_a_folder_that_cannot_be_written_is_named(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/cache: cannot be written"):
        Cached(photos, tmp_path / "file" / "cache")


def test_images_are_read_only_and_never_pickled(photos, tmp_path):
    cached = Cached(photos, tmp_path / "cache")
    with pytest.raises(ValueError, match="read-only"):
        cached.image(0)[:] = 7
    sent = pickle.dumps(cached)
    assert same(pickle.loads(sent), photos)
    assert cached.image(3).tobytes() not in sent


@pytest.mark.filterwarnings("error")
def test_views_of_a_whole_image_do_not_warn(photos, tmp_path):
    image = Cached(photos, tmp_path / "cache").image(0)
    assert View(size=8, scale=(1, 1), ratio=(1.5, 1.5))(image, np.random.default_rng(0)).flags.writeable


@pytest.fixture
def labeled(tmp_path):
    rng = np.random.default_rng(1)
    for name, depth, high in (("images", 3, 256), ("masks", 1, 2)):
        (tmp_path / name).mkdir()
        for i, (height, width) in enumerate(SIZES):
            pixels = rng.integers(0, high, (height, width, depth), np.uint8).squeeze(-1 if depth == 1 else ())
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")

    def of(classes):
        return Folder(tmp_path / "images", "all", tmp_path / "masks", classes)

    return of


def test_masks_are_cached_with_their_images(labeled, tmp_path):
    data = labeled(["a", "b"])
    cached = Cached(data, tmp_path / "cache")
    for sample, expected in zip((cached[i] for i in range(len(cached))), data, strict=True):
        assert np.array_equal(sample.image, expected.image)
        assert np.array_equal(sample.mask, expected.mask)
        assert sample.id == expected.id
    assert (tmp_path / "cache" / "pixels").stat().st_size == BYTES // 3 * 4
    assert np.array_equal(cached.mask(-1), data.mask(6))


def test_a_mask_that_changed_and_other_classes_are_refused(labeled, tmp_path):
    data = labeled(["a", "b"])
    Cached(data, tmp_path / "cache")
    with pytest.raises(UserError, match="other images, classes or bits"):
        Cached(labeled(["a", "b", "c"]), tmp_path / "cache")
    os.utime(data.entries[3].mask, ns=(0, 0))
    with pytest.raises(UserError, match=r"masks/3\.png: has changed .*files changed for 1 of 7"):
        Cached(data, tmp_path / "cache")


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_and_without(photos, tmp_path, workers):
    views = MultiView([View(size=8)] * 2)
    first, second = (
        next(iter(train_loader(Views(data, views, 3), 7, workers)))
        for data in (photos, Cached(photos, tmp_path / "cache"))
    )
    for ours, theirs in zip([*first.views, first.crops], [*second.views, second.crops], strict=True):
        assert ours.equal(theirs)


STRANGE = {
    "text": lambda folder: (folder / "index.npz").write_text("text"),
    "empty": lambda folder: (folder / "index.npz").write_bytes(b""),
    "truncated": lambda folder: (folder / "index.npz").write_bytes((folder / "index.npz").read_bytes()[:200]),
    "a plain array": lambda folder: np.save((folder / "index.npz").open("wb"), np.zeros(3)),
    "other arrays": lambda folder: np.savez(folder / "index.npz", a=np.zeros(3)),
    "other types": lambda folder: np.savez(folder / "index.npz", stamps=np.zeros(7), sizes=np.ones((7, 2), np.int32)),
    "no mark": lambda folder: (folder / "done").write_text("seven"),
    "marked beyond": lambda folder: (folder / "done").write_text("8"),
    "a long mark": lambda folder: (folder / "done").write_text("7" * 5000),
    "a negative mark": lambda folder: (folder / "done").write_text("-1"),
    "no text": lambda folder: (folder / "done").write_bytes(b"\xff"),
    "no pixels": lambda folder: (folder / "pixels").unlink(),
    "fewer pixels": lambda folder: (folder / "pixels").write_bytes(b"x"),
}


@pytest.mark.parametrize("damage", STRANGE)
def test_a_damaged_cache_is_named(photos, tmp_path, damage):
    folder = tmp_path / "cache"
    Cached(photos, folder)
    STRANGE[damage](folder)
    with pytest.raises(UserError, match=rf"{folder}/(index\.npz|done): (is damaged|does not match|is not UTF-8)"):
        Cached(photos, folder)


@pytest.mark.parametrize("name", ["done", "pixels"])
def test_files_of_a_cache_without_its_index_are_left_alone(photos, tmp_path, name):
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / name).write_text("1")
    with pytest.raises(UserError, match=f"cache: holds {name} but no index"):
        Cached(photos, folder)
    assert {path.name for path in folder.iterdir()} - {"lock"} == {name}
