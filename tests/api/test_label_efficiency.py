"""The example that asks how many masks are enough."""

import csv
import runpy
from pathlib import Path

import pytest

import twinsight
from twinsight.cli import main

pytest_plugins = ("tiny_runs",)

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "examples/label_efficiency.py"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    with pytest.raises(SystemExit, match="0"):
        main(["data", "make", "shapes", str(folder), "--data.count", "8", "--data.val-count", "4", "--data.size", "32"])
    return folder


def test_it_trains_what_is_missing_with_equal_steps_and_draws_the_curve(scenes, pretrained, tmp_path, capsys):
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "labels"
    recipe.write_text("command: segment\nbatch_size: 2\naugment: {size: 32}\nworkers: 0\nprobe: none\n")
    words = [str(scenes), "--weights", str(pretrained.folder), "--config", str(recipe), "--out", str(out)]
    words += ["--seeds", "3", "--epochs", "1", "--fractions"]
    SCRIPT["main"]([*words, "25%"])
    (first,) = read(out / "scores.csv")
    half, whole = (out / "pretrained" / f"{percent}-percent-seed-3" for percent in (25, 100))
    trained = (half / "model.safetensors").stat().st_mtime_ns
    SCRIPT["main"]([*words, "100%", "0.25"])
    rows = read(out / "scores.csv")
    assert rows[0] == first
    assert (half / "model.safetensors").stat().st_mtime_ns == trained
    assert [(row["images"], row["steps"], row["seed"]) for row in rows] == [("2", "4", "3"), ("8", "4", "3")]
    assert float(rows[1]["mean_iou"]) == twinsight.Run(whole).scores["mean_iou"]
    assert float(rows[1]["mean_iou"]) == pytest.approx(twinsight.evaluate(whole, workers=0)["mean_iou"], abs=1e-5)
    assert (out / "table.md").read_text().startswith("| images | pretrained |\n| ---: | ---: |\n| 2 | ")
    assert {"curve.svg", "curve.png"} <= {file.name for file in out.iterdir()}
    recipe.write_text(recipe.read_text() + "head_lr: 0.5\n")
    refused(capsys, [*words, "25%"], "25-percent-seed-3.json: was trained with other options; choose another --out")


def test_a_subset_smaller_than_a_batch_is_refused(scenes, tmp_path, capsys):
    refused(capsys, [str(scenes), "--fractions", "10%", "--out", str(tmp_path)], "is 1 images, fewer than a batch of 8")


def test_the_interval_is_student_s():
    """Mean 2, standard deviation 1, and 4.303 for two degrees of freedom, from any table of t."""
    mean, half = SCRIPT["interval"]([1, 2, 3])
    assert (mean, half) == (2, pytest.approx(4.303 / 3**0.5, abs=1e-3))


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def refused(capsys, words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        SCRIPT["main"](words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
