"""Folders searched for images, strange ones included."""

import os

import pytest
from PIL import Image

from twinsight.data.search import find_by_name, find_images, no_images
from twinsight.errors import Remark, UserError
from twinsight.options.commands import Pretrain
from twinsight.options.parse import parse


def test_a_run_directory_is_no_folder_of_images(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.twinsight").touch()
    for flag in ("--data", "--data.root"):
        with pytest.raises(UserError, match=rf"^{flag} .*run: is a run directory of twinsight, not a folder of images"):
            parse(Pretrain, "pretrain", [flag, str(tmp_path / "run")])
    with pytest.raises(UserError, match=r"run: is a run directory"):
        no_images(tmp_path / "run")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.PNG", "a/c.jpg", "a/.hidden.jpg", ".cache/d.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def found(folder):
    return [path.relative_to(folder).as_posix() for path in find_images(folder)]


def test_images_in_order_without_what_is_hidden(photos):
    assert found(photos) == ["a/c.jpg", "b.PNG"]
    assert list(find_by_name(photos)) == ["a/c", "b"]


def test_links_are_followed_but_never_in_a_circle(photos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "e.jpg").symlink_to(photos / "b.PNG")
    (photos / "f").symlink_to(elsewhere)
    (photos / "itself").symlink_to(photos)
    (photos / "a/up").symlink_to("..")
    (photos / "a/turn").symlink_to("turn")
    (elsewhere / "back").symlink_to(photos)
    assert found(photos) == ["a/c.jpg", "b.PNG", "f/e.jpg"]


def test_a_folder_with_several_names_is_read_under_each(photos):
    (photos / "again").symlink_to(photos / "a")
    assert found(photos) == ["a/c.jpg", "again/c.jpg", "b.PNG"]


def test_nothing_but_regular_files(photos):
    os.mkfifo(photos / "pipe.png")
    (photos / "to-pipe.png").symlink_to("pipe.png")
    (photos / "folder.png").mkdir()
    assert found(photos) == ["a/c.jpg", "b.PNG"]


def test_a_link_to_nothing_is_left_for_its_reader_to_name(photos):
    (photos / "gone.png").symlink_to("nowhere.png")
    assert found(photos) == ["a/c.jpg", "b.PNG", "gone.png"]


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    scan = os.scandir

    def denied(folder):
        if folder.endswith("photos/a"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"photos/a: cannot be read \(Permission denied\)"):
        find_images(photos)


def test_images_of_formats_that_are_not_read_are_counted(photos):
    for name in ("a/1.HEIC", "2.heic", "3.dng", ".hidden.heic"):
        (photos / name).write_bytes(b"")
    with pytest.warns(Remark, match=r"photos: leaves out 1 DNG, 2 HEIC, formats that are not read; convert"):
        assert found(photos) == ["a/c.jpg", "b.PNG"]


@pytest.mark.parametrize("files", [(".twinsight",), ("config.yaml", "checkpoints/last.ckpt")])
def test_figures_of_runs_below_are_no_photographs(photos, files):
    for name in ("figures/views.png", *files):
        for run in ("runs/1", "a/2"):
            file = photos / run / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(file, "png")
    with pytest.warns(Remark, match=r"photos: run directories in it are left out, 2 in all, such as .*photos/a/2$"):
        assert found(photos) == ["a/c.jpg", "b.PNG"]
    assert found(photos / "runs/1") == ["figures/views.png"]  # asked for by name


@pytest.mark.parametrize("suffix", ["gif", "avif", "jp2", "tif", "webp", "bmp", "jfif"])
def test_every_format_that_is_read_is_found(photos, suffix):
    Image.new("RGB", (4, 4)).save(photos / f"d.{suffix}")
    assert found(photos) == ["a/c.jpg", "b.PNG", f"d.{suffix}"]


def test_two_files_of_one_name(photos):
    Image.new("RGB", (4, 4)).save(photos / "b.jpg")
    with pytest.raises(UserError, match="has the same name as"):
        find_by_name(photos)
