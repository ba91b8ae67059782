import json
import math
from pathlib import Path

import pytest
from test_runs import make_run, table

from twinsight.errors import UserError
from twinsight.report.evaluations import FILE, keep, read
from twinsight.report.runs import report_run, report_runs

MEASURED = {"data": "folder", "split": "val", "images": 9}


def test_an_evaluation_is_kept_and_the_same_again_replaces_it(tmp_path):
    keep(tmp_path, MEASURED, {"mean_iou": 0.5, "dice": math.nan})
    keep(tmp_path, MEASURED | {"flip": True}, {"mean_iou": 0.6})
    keep(tmp_path, MEASURED, {"mean_iou": 0.7, "dice": math.nan})
    assert [one["scores"] for one in read(tmp_path)] == [{"mean_iou": 0.6}, {"mean_iou": 0.7, "dice": None}]
    assert json.loads((tmp_path / FILE).read_text())[1]["measured"] == MEASURED
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_the_page_shows_evaluations(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("a", "b", "c")]
    keep(runs[0], MEASURED, {"mean_iou": 0.5, "dice": math.nan})
    keep(runs[1], MEASURED, {"mean_iou": 0.25})
    page = report_run(runs[0]).read_text()
    assert table(page, "score") == [
        ["score", "data folder, split val, images 9"],
        ["mean IoU", "50.0"],
        ["dice", ""],
    ]
    page = report_runs(runs, tmp_path / "all.html").read_text()
    at = page.index("<h2>Evaluations")
    assert [row[:3] for row in table(page[at:], "run")[1:]] == [
        ["a", "data folder, split val, images 9", "50.0"],
        ["b", "data folder, split val, images 9", "25.0"],
    ]
    assert "Evaluations" not in report_run(runs[2]).read_text()


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"measured": {}}]', '{"measured": 1}', "3"])
def test_a_damaged_file_is_named(tmp_path: Path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=rf"{FILE}: is damaged"):
        read(tmp_path)
