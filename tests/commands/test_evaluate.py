import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA

from twinsight.choices.data import FolderOptions, ShapesOptions
from twinsight.cli import main
from twinsight.commands import evaluate
from twinsight.commands.setup import load_segmenter
from twinsight.config import Evaluate
from twinsight.data.shapes import write
from twinsight.errors import UserError


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
    assert "mean iou" in capfd.readouterr().out


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
    with pytest.raises(UserError, match="no run directory"):
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
