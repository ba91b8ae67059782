"""Bad data, as one meets it: one sentence on stderr that names the file, exit code 2, and no run left
behind.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.data.shapes import Shapes, write

SEGMENT = "segment --backbone test_resnet --batch-size 2 --epochs 1 --augment.size 32 --warmup-epochs 0"
PRETRAIN = (
    "pretrain --backbone test_resnet --batch-size 2 --epochs 1 --method.projector 8 8 --method.views.size 32 "
    "--warmup-epochs 0"
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "shapes"
    write(folder, Shapes("train", 6, 32), Shapes("val", 2, 32))
    return folder


@pytest.fixture
def folder(clean, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(clean, tmp_path / "shapes"))


def refused(argv: str, capfd) -> str:
    with pytest.raises(SystemExit) as exit:
        main(argv.split())
    err = capfd.readouterr().err
    assert exit.value.code == 2, err
    assert "Traceback" not in err
    assert not list(Path("runs").glob("*"))
    (sentence,) = [line for line in err.splitlines() if line.startswith("twinsight: error: ")]
    return sentence


def mask(folder: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(folder / MASK)


IMAGE, MASK = Path("JPEGImages/train_000003.jpg"), Path("SegmentationClass/train_000003.png")
DAMAGE = {
    "truncated image": (lambda f: (f / IMAGE).write_bytes((f / IMAGE).read_bytes()[:300]), "3.jpg: cannot be read"),
    "no image": (lambda f: (f / IMAGE).write_text("text"), "3.jpg: cannot be read"),
    "empty mask file": (lambda f: (f / MASK).write_bytes(b""), "3.png: cannot be read"),
    "mask of another size": (lambda f: mask(f, np.zeros((16, 32), np.uint8)), "has 32 x 16 pixels"),
    "RGB mask": (lambda f: mask(f, np.full((32, 32, 3), (9, 1, 0), np.uint8)), "is an RGB picture, not class indices"),
    "class id beyond": (lambda f: mask(f, np.full((32, 32), 8, np.uint8)), "value with --data.values"),
    "missing image": (lambda f: (f / IMAGE).unlink(), "train_000003"),
    "missing mask": (lambda f: (f / MASK).unlink(), "train_000003"),
    "missing split": (lambda f: (f / "ImageSets/Segmentation/val.txt").unlink(), "val"),
    "no classes": (lambda f: (f / "classes.txt").unlink(), "classes.txt: is missing"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_data_set(folder, capfd, damage):
    harm, sentence = DAMAGE[damage]
    harm(folder)
    assert sentence in refused(f"{SEGMENT} --workers 0 --data folder --data.root {folder}", capfd)


def test_through_a_worker(folder, capfd):
    DAMAGE["truncated image"][0](folder)
    for command in (SEGMENT, PRETRAIN):
        sentence = refused(f"{command} --workers 1 --data folder --data.root {folder}", capfd)
        assert "train_000003.jpg: cannot be read" in sentence


@pytest.mark.parametrize("command", [SEGMENT, PRETRAIN, "data check", "data show"])
@pytest.mark.parametrize("where", ["none", "empty"])
def test_missing_or_empty_folder(folder, capfd, command, where):
    Path("empty").mkdir()
    assert refused(f"{command} --data folder --data.root {where}", capfd).startswith(f"twinsight: error: {where}: ")


@pytest.mark.parametrize("name", ["voc", "coco-stuff"])
def test_data_sets_that_are_not_there(folder, capfd, name):
    assert "none" in refused(f"{PRETRAIN} --data {name} --data.root none", capfd)


def test_run_where_a_file_lies(folder, capfd):
    Path("file").touch()
    assert "file" in refused(f"{PRETRAIN} --workers 0 --data folder --data.root {folder} --run file/run", capfd)
    assert "file" in refused(f"{PRETRAIN} --workers 0 --data folder --data.root {folder} --run file", capfd)


@pytest.mark.parametrize("number", [28, 30])
def test_disk_full_or_read_only(folder, capfd, monkeypatch, number):
    import os

    def fail(file: int) -> None:
        raise OSError(number, os.strerror(number), "r/config.yaml")

    monkeypatch.setattr(os, "fsync", fail)
    sentence = refused(f"{PRETRAIN} --workers 0 --data folder --data.root {folder} --run r", capfd)
    assert os.strerror(number).lower() in sentence
    assert not Path("r").exists()
