import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone
from twinsight.commands import pretrain
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.data import FolderOptions, ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.plain import read_yaml
from twinsight.runs.rows import read_rows
from twinsight.training.pretrainer import Pretrainer


def options(run: Path | None, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_resnet"), "data": ShapesOptions(count=16, size=32),
        "probe": "none",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


def test_writes_a_run_directory(tmp_path):
    run = pretrain.run(options(tmp_path / "run"))
    assert run == tmp_path / "run"
    names = {file.name for file in run.iterdir()} - {".lock", ".twinsight"}
    assert names == {
        "config.yaml",
        "environment.txt",
        "data.json",
        "metrics.csv",
        "checkpoints",
        "backbone.safetensors",
        "backbone.json",
        "report.html",
    }
    assert [file.name for file in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    rows = read_rows(run / "metrics.csv")
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[0].keys() >= {"train/loss", "train/invariance", "train/redundancy", "train/lr"}
    assert json.loads((run / "backbone.json").read_text())["backbone"] == "test_resnet"


def test_few_images_are_one_batch(tmp_path, capfd):
    run = pretrain.run(options(tmp_path / "run", batch_size="auto"))
    assert "--batch-size 16: all 16 images" in capfd.readouterr().err
    assert read_yaml(run / "config.yaml")["batch_size"] == 16
    assert len(read_rows(run / "metrics.csv")) == 1


@pytest.mark.parametrize(
    ("command", "images", "batch"),
    [(Pretrain(), 3, 3), (Pretrain(), 500, 64), (Pretrain(), 5000, 64), (Pretrain(), 10_000, 128),
     (Pretrain(), 10**6, 256), (Segment(), 3, 3), (Segment(), 20, 16), (Segment(), 300, 16)],
)  # fmt: skip
def test_a_batch_suits_the_images(command, images, batch):
    assert command.auto_batch(images).value == batch


def test_one_image_is_too_few(tmp_path):
    with pytest.raises(UserError, match=r"holds a single image; .* give 2 or more"):
        pretrain.run(options(tmp_path / "run", batch_size="auto", data=ShapesOptions(count=1, size=32)))


@pytest.mark.parametrize("ema", [None, 0.5])
def test_exported_backbone_is_the_trained_one(tmp_path, ema):
    run = pretrain.run(options(tmp_path / "run", ema=ema))
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)[
        "state_dict"
    ]  # the average, where there is one
    backbone = Backbone("test_resnet")
    load_backbone(backbone, run)
    for name, value in backbone.network.state_dict().items():
        torch.testing.assert_close(value, state[f"method.trunk.network.{name}"])


def test_dry_run_writes_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert pretrain.run(options(None, dry_run=True, epochs=3)) is None
    out = capfd.readouterr().out
    for word in ("barlow-twins", "test_resnet", "16 images", "parameters", "FLOP", "memory", "12"):
        assert word in out
    assert not list(tmp_path.iterdir())


def test_a_cache_changes_nothing(tmp_path, capfd):
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(photos / f"{i}.jpg")
    cache, losses = tmp_path / "cache", []
    for name, folder in (("plain", None), ("first", cache), ("second", cache)):
        data = FolderOptions(root=photos, cache=folder)
        run = pretrain.run(options(tmp_path / name, data=data, epochs=2))
        losses.append([row["train/loss"] for row in read_rows(run / "metrics.csv") if "train/loss" in row])
    assert losses[0] == losses[1] == losses[2]
    assert len(losses[0]) == 4
    images = (cache / "train" / "pixels").stat().st_size / (40 * 50 * 3)
    assert images in range(8, 11)
    assert f"--data.cache: 0.00 GB in {cache / 'train'}" in capfd.readouterr().err


def test_learning_rate_is_scaled_by_the_images_of_an_update(tmp_path):
    run = pretrain.run(options(tmp_path / "run", lr=0.01, lr_batch=16, accumulate=2, final_lr=1.0))
    rates = [row["train/lr"] for row in read_rows(run / "metrics.csv")]
    assert rates == pytest.approx([0.01 * 4 * 2 / 16] * 2)


def test_find_lr_and_batch_size(tmp_path, capfd):
    run = pretrain.run(options(tmp_path / "run", find_lr=True, find_batch_size=True, lr=123.0))
    err = capfd.readouterr().err
    assert "--find-batch-size: 16" in err
    assert "--find-lr: " in err
    config = (run / "config.yaml").read_text()
    assert "batch_size: 16" in config
    assert "lr: 123.0" not in config
    assert "find_lr: false" in config  # found already: the saved config repeats this very run


def test_weights_to_start_from(tmp_path):
    first = pretrain.run(options(tmp_path / "first"))
    second = pretrain.run(options(tmp_path / "second", weights=first, lr=0.0))
    before, after = Backbone("test_resnet"), Backbone("test_resnet")
    load_backbone(before, first)
    load_backbone(after, second)
    for name, value in before.named_parameters():
        assert torch.equal(value, dict(after.named_parameters())[name])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 1}, "--batch-size 1: "),
        ({"batch_size": 17}, r"--batch-size 17: exceeds the number of images per process \(16\)"),
        ({"early_stopping": 3}, "--early-stopping: "),
        ({"ema": 0.9, "swa": 0.5}, "--swa: cannot be combined with --ema"),
        ({"workers": 1000}, "--workers 1000: must be from 0 to"),
        ({"backbone": TimmOptions(name="resnt18")}, "--backbone resnt18: .*did you mean.*resnet18"),
        ({"weights": Path("none.pt")}, "none.pt: no such"),
        ({"accelerator": "gpu"}, "--accelerator gpu: this machine has none"),
    ],
    ids=str,
)
def test_bad_options_leave_no_run(tmp_path, changes, sentence):
    if "accelerator" in changes and torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(UserError, match=sentence):
        pretrain.run(options(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_keeps_what_it_logged(tmp_path, monkeypatch):
    def fail(self, optimizer):
        if self.global_step == 2:
            raise UserError("no more")

    monkeypatch.setattr(Pretrainer, "on_before_optimizer_step", fail)
    with pytest.raises(UserError, match="no more"):
        pretrain.run(options(tmp_path / "run"))
    assert read_rows(tmp_path / "run/metrics.csv")[0]["train/loss"] > 0


def test_two_processes_share_one_run(tmp_path):
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "twinsight", "pretrain", "--backbone", "test_resnet", "--data.size", "32", "--data.count",
        "64", "--method.projector", "16", "16", "--method.views.size", "32", "--batch-size", "8", "--epochs", "2",
        "--devices", "2", "--workers", "0", "--run", str(run), "--probe", "correlation:8",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pretrain: done") == 1
    assert len(list((run / "figures" / "correlation").glob("matrix-*.png"))) >= 2  # one process looks, none waits
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2 * 64 // (2 * 8)  # each process takes half of every epoch
    load_backbone(Backbone("test_resnet"), run)
