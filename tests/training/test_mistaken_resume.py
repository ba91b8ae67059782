"""A resume by mistake changes nothing; one by right needs nothing but the run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from twinsight.commands import pretrain, segment
from twinsight.data.shapes import Shapes, write
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.data import FolderOptions, PairOptions, ShapesOptions
from twinsight.options.heads import LinearOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions

SMALL = {"epochs": 1, "batch_size": 2, "workers": 0, "precision": "fp32", "probe": "none", "warmup_epochs": 0}


def pretrain_options(run: Path | None, **changes) -> Pretrain:
    method = BarlowTwinsOptions(projector=(4, 4), views=TwoViewsOptions(size=32))
    given = {"data": ShapesOptions(count=4, size=32), "backbone": TimmOptions(name="test_resnet")} | changes
    return Pretrain(run=run, method=method, **SMALL | given)


def segment_options(run: Path | None, **changes) -> Segment:
    given = {"augment": PairOptions(size=32), "head": LinearOptions(), "backbone": TimmOptions(name="test_resnet")}
    return Segment(run=run, **SMALL | given | changes)


def photos(folder: Path, names: str) -> FolderOptions:
    folder.mkdir()
    for name in names.split():
        noise = np.random.default_rng(ord(name[0])).integers(0, 256, (40, 40, 3))
        Image.fromarray(noise.astype(np.uint8)).save(folder / name)
    return FolderOptions(root=folder)


def state(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> tuple[Path, FolderOptions]:
    folder = tmp_path_factory.mktemp("pretrained")
    data = photos(folder / "photos", "a.png b.png c.png d.png")
    pretrain.run(pretrain_options(folder / "run", data=data))
    return folder / "run", data


@pytest.fixture(scope="module")
def segmented(tmp_path_factory) -> tuple[Path, FolderOptions]:
    folder = tmp_path_factory.mktemp("segmented")
    write(folder / "shapes", Shapes("train", 4, 32), Shapes("val", 2, 32))
    data = FolderOptions(root=folder / "shapes")
    segment.run(segment_options(folder / "run", data=data))
    return folder / "run", data


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("a.png b.png c.png", "the images of train are not those that .* was begun with: 3 instead of 4"),
        ("a.png b.png c.png e.png", "the names of train are not those that .*--run NEW --weights"),
    ],
)
def test_other_images(pretrained, tmp_path, names, sentence):
    run, _ = pretrained
    before = state(run)
    with pytest.raises(UserError, match=f"--data: {sentence}"):
        pretrain.run(pretrain_options(None, resume=run, epochs=2, data=photos(tmp_path / "photos", names)))
    assert state(run) == before


def test_other_classes(segmented, tmp_path):
    run, data = segmented
    names = (data.root / "classes.txt").read_text()
    (tmp_path / "classes.txt").write_text(names.replace("star", "sun"))
    before = state(run)
    with pytest.raises(UserError, match="--data: the classes of train"):
        segment.run(segment_options(None, resume=run, epochs=2, data=replace(data, classes=tmp_path / "classes.txt")))
    assert state(run) == before


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"lr": 7.0}, "--lr"),
        ({"backbone": TimmOptions(name="test_vit")}, "--backbone"),
        ({"data": ShapesOptions()}, "--data"),
        ({"weights": Path("else")}, "--weights"),
    ],
    ids=str,
)
def test_other_options(pretrained, changes, flag):
    run, data = pretrained
    before = state(run)
    with pytest.raises(UserError, match=f"^{flag}: is not what"):
        pretrain.run(pretrain_options(None, resume=run, **{"epochs": 2, "data": data} | changes))
    assert state(run) == before


def test_a_broken_checkpoint(pretrained, tmp_path):
    run, data = pretrained
    last = run / "checkpoints/last.ckpt"
    whole = last.read_bytes()
    last.write_bytes(whole[:1000])
    before = state(run)
    try:
        with pytest.raises(UserError, match=r"last\.ckpt: "):
            pretrain.run(pretrain_options(None, resume=run, epochs=2, data=data))
        assert state(run) == before
    finally:
        last.write_bytes(whole)


def test_data_and_weights_that_have_moved(tmp_path, monkeypatch, capfd):
    """What the checkpoint holds is neither read nor downloaded again; the same images elsewhere are the same."""
    data = photos(tmp_path / "photos", "a.png b.png c.png d.png")
    pretrain.run(pretrain_options(tmp_path / "first", data=data))
    pretrain.run(pretrain_options(tmp_path / "run", data=data, weights=tmp_path / "first"))
    config = tmp_path / "run/config.yaml"
    config.write_text(config.read_text().replace("pretrained: false", "pretrained: true"))
    for name in ("first", "photos"):
        (tmp_path / name).rename(tmp_path / f"moved-{name}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    capfd.readouterr()
    pretrain.run(
        pretrain_options(
            None, resume=tmp_path / "run", epochs=2, data=FolderOptions(root=tmp_path / "moved-photos"),
            weights=tmp_path / "first", backbone=TimmOptions(name="test_resnet", pretrained=True),
        )
    )  # fmt: skip
    assert "--epochs: 2 instead of 1: from here on, the learning rate" in capfd.readouterr().err
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 4
    assert f"weights: {tmp_path}/first" in config.read_text()
    assert "pretrained: true" in config.read_text()


def test_what_a_run_knows_its_data_by(segmented, tmp_path):
    run, _ = segmented
    kept = json.loads((run / "data.json").read_text())
    assert {split: facts["images"] for split, facts in kept.items()} == {"train": 4, "val": 2}
    assert kept["val"]["classes"][:2] == ["background", "striped disk"]
