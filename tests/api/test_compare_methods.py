"""The example that compares methods, and the budget of time that it gives them."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest

import twinsight
from twinsight.assemble import searching
from twinsight.cli import main

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "examples/compare_methods.py"))


def test_it_trains_what_is_missing_in_the_time_and_judges(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(searching, "PACE", (2, 0.0))
    scenes, recipe, out = tmp_path / "scenes", tmp_path / "recipe.yaml", tmp_path / "methods"
    with pytest.raises(SystemExit, match="0"):
        main(["data", "make", "shapes", str(scenes), "--data.count", "8", "--data.val-count", "4", "--data.size", "32"])
    shared = "command: pretrain\nbackbone: {name: test_vit}\nbatch_size: 4\nworkers: 0\nprobe: none\n"
    recipe.write_text(shared + "method: {views: {size: 32}}\n")
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text("method: {name: barlow-twins, projector: [8, 8]}\n")
    words = [str(scenes), "--config", str(recipe), "--out", str(out), "--seeds", "1", "--minutes", "0.02", "--methods"]
    SCRIPT["main"]([*words, str(narrow)])
    trained = (out / "narrow-seed-1/backbone.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    SCRIPT["main"]([*words, str(narrow), "barlow-twins"])
    assert (out / "narrow-seed-1/backbone.safetensors").stat().st_mtime_ns == trained
    with (out / "scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["method"] for row in rows] == ["untrained", "narrow", "barlow-twins"]
    assert all(0 < float(row[score]) < 100 for row in rows for score in ("patches", "linear", "attention"))
    options = twinsight.Run(out / "barlow-twins-seed-1").options
    assert options["epochs"] >= 1
    assert options["time_budget"] is None
    assert (out / "table.md").read_text().startswith("| method | patch k-NN mean IoU | linear mean IoU | attention")
    recipe.write_text(recipe.read_text() + "lr: 0.5\n")
    with pytest.raises(SystemExit, match="2"):
        SCRIPT["main"]([*words, str(narrow)])
    assert "untrained-seed-1.json: was trained with other options" in capsys.readouterr().err


def test_bold_is_ahead_by_more_than_chance():
    """Gains of 3, 4, 5: a mean of 4 with a t-interval of 4.303 / root 3; of 0, 4, 8: 4 with four times that."""
    rows = [
        {"method": name, "seed": seed, "patches": 10 + gain}
        for name, gains in (("untrained", (0, 0, 0)), ("sure", (3, 4, 5)), ("unsure", (0, 4, 8)))
        for seed, gain in enumerate(gains)
    ]
    lines = SCRIPT["table"](rows).splitlines()
    assert lines[3:] == ["| sure | **14.0 ± 2.5** |", "| unsure | 14.0 ± 9.9 |"]
    assert np.isnan(SCRIPT["interval"]([1.0])[1])
