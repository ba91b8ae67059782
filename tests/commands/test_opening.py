import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from twinsight.assemble.images import evenly
from twinsight.assemble.open import load_segmenter
from twinsight.assemble.opening import data_set, network, splits, weights_of
from twinsight.cli import main
from twinsight.data.samples import Dataset, Entry
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions, VitPytorchOptions
from twinsight.options.data import FolderOptions, ShapesOptions


def tell(capfd, *argv: object) -> str:
    """What a command that ends well says on stderr."""
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, argv)))
    captured = capfd.readouterr()
    assert exit_.value.code == 0, captured.err
    return captured.err


def test_random_weights_are_said_in_capitals():
    assert network(TimmOptions(name="resnet18"), None) == "backbone resnet18, RANDOM weights"
    assert network(VitPytorchOptions(), None, freeze="all") == "backbone vit-pytorch, RANDOM weights, frozen"
    assert network(TimmOptions(pretrained=True), None, freeze=2).endswith(
        "timm's pretrained weights, its first 2 blocks frozen"
    )
    assert network(TimmOptions(), Path("runs/a")) == "backbone resnet18, weights of runs/a"
    assert "RANDOM" not in network(TimmOptions(), None, resumed=True)
    assert weights_of("random:resnet50") == "resnet50 with RANDOM weights"
    assert weights_of("runs/a") == "runs/a"


def test_data_and_its_splits():
    train = Dataset([Entry(str(i), Path(f"{i}.png")) for i in range(3)])
    assert splits(train) == "3 images to train"
    assert splits(train, train) == "3 images to train, 3 to validate"
    assert data_set(FolderOptions(root=Path("photos")), "3 images") == "data folder photos, 3 images"
    train.title, train.classes = "color masks with labelmap.txt", ("background", "road")
    train.relatives, train.split_note = [Path("a.jpg")] * 5, "3 train, 2 val, as the lists say"
    assert data_set(FolderOptions(root=Path("street")), splits(train), train) == (
        "data color masks with labelmap.txt in street, 2 classes, 5 images: 3 train, 2 val, as the lists say"
    )
    assert "toy scenes" in data_set(ShapesOptions(), "")


def test_evaluate_says_and_keeps_what_it_measured(segmenter_run, capfd):
    line = tell(capfd, "evaluate", segmenter_run, "--workers", 0, "--flip")
    assert (
        f"evaluate: {segmenter_run}, best checkpoint | data shapes (the built-in toy scenes), val: 4 images | fp32"
        in line
    )
    kept = json.loads((segmenter_run / "evaluations.json").read_text())
    assert [one["measured"] for one in kept if "flip" in one["measured"]] == [
        {
            "checkpoint": "best",
            "data": "shapes (the built-in toy scenes)",
            "split": "val",
            "images": 4,
            "precision": "fp32",
            "flip": "True",
        }
    ]
    assert "split val, images 4" in (segmenter_run / "report.html").read_text()


def test_predict_and_look_say_what_they_do(segmenter_run, tmp_path, capfd):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((40, 40, 3), np.uint8))
    out = tmp_path / "out"
    line = tell(capfd, "predict", segmenter_run, photo, "--out", out)
    assert f"predict: {segmenter_run}, best checkpoint | 1 image | fp32, as in the training, on " in line
    line = tell(capfd, "look", "filters", "--weights", "random:test_resnet", "--out", out, "--count", 4)
    assert "look filters: test_resnet with RANDOM weights | fp32 on" in line
    line = tell(capfd, "look", "features", photo, "--weights", segmenter_run, "--out", out)
    assert f"look features: {segmenter_run} | 1 image | fp32 on" in line


def test_trainings_say_that_weights_are_random(tmp_path, capfd):
    run, small = tmp_path / "run", ("--data.size", 32, "--data.count", 8, "--data.val-count", 4, "--precision", "fp32")
    given = ("--backbone", "test_resnet", "--accelerator", "cpu", "--dry-run", "--run", run, "--batch-size", 4, *small)
    line = tell(capfd, "segment", "--freeze", "all", *given)
    data = "data shapes (the built-in toy scenes), 8 images to train"
    backbone = "backbone test_resnet, RANDOM weights"
    assert f"segment: {data}, 4 to validate | linear on {backbone}, frozen | fp32 on cpu | run {run}" in line
    line = tell(capfd, "pretrain", *given)
    assert f"pretrain: {data} | barlow-twins, {backbone} | fp32 on cpu | run {run}" in line
    assert not run.exists()


def test_a_run_of_pretrain_predicts_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text("command: pretrain\n")
    line = f"twinsight segment --weights {tmp_path} --data NAME"
    with pytest.raises(UserError, match=f"a run of `twinsight pretrain`, which has no head .* {line}"):
        load_segmenter(tmp_path, "best", torch.device("cpu"))


@pytest.mark.parametrize(("total", "count", "places"), [(60, 4, [0, 19, 39, 59]), (3, 8, [0, 1, 2]), (5, 1, [0])])
def test_evenly_chosen(total, count, places):
    assert evenly(total, count) == places
