import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from segmenting_runs import DATA, segment_options, trained

from twinsight.assemble import predicting
from twinsight.assemble.open import load_segmenter
from twinsight.cli import main
from twinsight.commands import evaluate, predict
from twinsight.data.shapes import write
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Evaluate, Predict
from twinsight.options.data import FolderOptions, ShapesOptions


def options(run: Path, **changes) -> Evaluate:
    return Evaluate(run=run, **{"workers": 0, "data": DATA} | changes)


def mean_iou(run: Path, checkpoint: str) -> float:
    """Written out, image by image and class by class."""
    model, _ = load_segmenter(run, checkpoint, torch.device("cpu"))
    predictions, targets = [], []
    for image, mask, _ in DATA.open("val"):
        with torch.inference_mode():
            predictions.append(model(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax(1)[0].numpy())
        targets.append(mask)
    prediction, target = np.stack(predictions), np.stack(targets)
    ious = []
    for label in range(8):
        union = ((prediction == label) | (target == label)).sum()
        if union:
            ious.append(((prediction == label) & (target == label)).sum() / union)
    return float(np.mean(ious))


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_equals_an_independent_computation(segmenter_run, checkpoint):
    scores = evaluate.run(options(segmenter_run, checkpoint=checkpoint))
    assert scores.scalars()["mean_iou"] == pytest.approx(mean_iou(segmenter_run, checkpoint))


def test_command_line_takes_the_runs_data_and_writes_json(segmenter_run, tmp_path, capfd):
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", str(segmenter_run), "--json", str(tmp_path / "scores.json"), "--workers", "0"])
    assert exit.value.code == 0
    numbers = json.loads((tmp_path / "scores.json").read_text())
    assert numbers["mean_iou"] == pytest.approx(mean_iou(segmenter_run, "best"))
    assert [row["class"] for row in numbers["classes"]][:2] == ["background", "striped disk"]
    measured = {"checkpoint": "best", "data": "shapes (the built-in toy scenes)", "split": "val", "images": 4}
    assert numbers["measured"] == measured | {"precision": "fp32"}
    assert json.loads((segmenter_run / "evaluations.json").read_text())[-1]["measured"] == numbers["measured"]
    output = capfd.readouterr()
    assert "mean class accuracy (recall)" in output.out
    assert "mean recall" not in output.out
    assert "val: 4 images | fp32" in output.err


def test_the_data_are_looked_at_before_the_model_is_loaded(segmenter_run, tmp_path, monkeypatch):
    write(tmp_path / "shapes", DATA.open("train"), DATA.open("val"))
    for file in (tmp_path / "shapes/SegmentationClass").iterdir():
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(file)
    monkeypatch.setattr(predicting, "load_segmenter", None)
    with pytest.raises(UserError, match="is all void, as all 4 masks of val"):
        evaluate.run(options(segmenter_run, data=FolderOptions(root=tmp_path / "shapes")))


def test_data_on_the_command_line(segmenter_run, tmp_path):
    write(tmp_path / "shapes", DATA.open("train"), replace(DATA, seed=1).open("val"))
    elsewhere = evaluate.run(options(segmenter_run, data=FolderOptions(root=tmp_path / "shapes")))
    with pytest.raises(SystemExit) as exit:
        main([
            "evaluate", str(segmenter_run), "--data", "folder", "--data.root", f"{tmp_path}/shapes", "--json",
            f"{tmp_path}/a.json",
        ])  # fmt: skip
    assert exit.value.code == 0
    assert json.loads((tmp_path / "a.json").read_text())["mean_iou"] == pytest.approx(elsewhere.scalars()["mean_iou"])


def test_other_classes_are_refused(segmenter_run, tmp_path):
    write(tmp_path / "shapes", DATA.open("train"), DATA.open("val"))
    (tmp_path / "shapes/classes.txt").write_text("\n".join("abcdefgh"))
    with pytest.raises(UserError, match="--data: its classes"):
        evaluate.run(options(segmenter_run, data=FolderOptions(root=tmp_path / "shapes")))


def test_no_run(tmp_path, segmenter_run):
    with pytest.raises(UserError, match="not a run directory"):
        evaluate.run(options(tmp_path / "none"))
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="no masks"):
        evaluate.run(options(segmenter_run, data=FolderOptions(root=tmp_path, train="train", val="train")))


def test_json_that_cannot_be_written(segmenter_run, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", str(segmenter_run), "--json", str(tmp_path / "file/scores.json"), "--workers", "0"])
    assert exit.value.code == 2
    assert "Traceback" not in capfd.readouterr().err


def test_all_of_the_data_is_default_shapes():
    assert isinstance(Evaluate(run=Path("x")).data, ShapesOptions)


SIZES = [(40, 48), (40, 48), (56, 40), (40, 48), (64, 64)]


@pytest.fixture(scope="module")
def bf16_run(tmp_path_factory):
    """A run in bf16 on noisy images of three sizes, its data, and what its last validation found."""
    folder = tmp_path_factory.mktemp("bf16")
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for i, (height, width) in enumerate(SIZES * 4):
        mask = rng.integers(0, 3, (height // 8, width // 8), np.uint8).repeat(8, 0).repeat(8, 1)
        image = mask[..., None] * (90, 60, 30) + rng.normal(60, 50, (height, width, 3))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"images/{i}.png")
        Image.fromarray(mask).save(folder / f"masks/{i}.png")
    (folder / "classes.txt").write_text("one\ntwo\nthree\n")
    data = FolderOptions(
        root=folder / "images", masks=folder / "masks", classes=folder / "classes.txt", val_fraction=0.5
    )
    options = segment_options(
        folder / "run",
        data=data,
        precision="bf16",
        epochs=1,
        lr=1e-4,
        head_lr=1e-3,
        accelerator="cpu",
        backbone=TimmOptions(name="test_vit"),
    )
    scores, run = trained(options)
    return run, data, scores


def test_validation_evaluate_and_predict_agree_to_the_pixel(bf16_run, tmp_path, capfd):
    run, data, validated = bf16_run
    given = {"data": data, "checkpoint": "last", "accelerator": "cpu"}
    evaluated: Any = evaluate.run(options(run, **given))
    assert "bf16, as in the training, on cpu" in capfd.readouterr().err
    assert torch.equal(evaluated.matrix, validated.matrix)
    assert (evaluated.matrix > 0).sum() >= 6  # several classes are found, so that digits can matter

    found = data.open("val")
    images = tuple(entry.image for entry in found.entries)
    predict.run(Predict(run=run, images=images, out=tmp_path, checkpoint="last", accelerator="cpu", overlay=False))
    assert "bf16, as in the training, on cpu" in capfd.readouterr().err
    counted = np.zeros((3, 3), np.int64)
    for image, sample in zip(images, found):
        np.add.at(counted, (sample.mask, np.asarray(Image.open(tmp_path / f"{image.stem}.png"))), 1)
    assert np.array_equal(counted, validated.matrix.numpy())


def test_another_precision_on_request(bf16_run, capfd):
    run, data, validated = bf16_run
    evaluated: Any = evaluate.run(options(run, data=data, checkpoint="last", accelerator="cpu", precision="fp32"))
    assert capfd.readouterr().err.count("fp32 on cpu\n") == 1
    assert not torch.equal(evaluated.matrix, validated.matrix)


def test_judges_know_one_precision(segmenter_run):
    with pytest.raises(UserError, match="--precision: cannot be combined with --probe"):
        evaluate.run(options(segmenter_run, probe="patches", precision="bf16"))
