"""Paths that nothing can be written to are found before any work."""

import json
import os
from pathlib import Path

import pytest
from begun import begun

from twinsight.assemble import looking, predicting
from twinsight.assemble import open as opening
from twinsight.commands import data, evaluate, look, report
from twinsight.errors import UserError
from twinsight.judging import judges
from twinsight.options.commands import COMMANDS, DataMake, DataShow, Evaluate, Pretrain, Report
from twinsight.outputs import check_file, check_folder


@pytest.fixture
def run(tmp_path) -> Path:
    return begun(tmp_path / "run", Pretrain(), "pretrain").folder


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("file/x", "file is a file, so nothing"),
        ("folder", "is a folder; name a file in it"),
        ("there.json", "exists; choose another --json or give --overwrite"),
        ("x" * 300, "is not a valid path .file name too long"),
        ("a\0b", "is not a valid path"),
        ("loop/x", "is not a valid path|is a file"),
        ("run/config.yaml", "belongs to the run"),
        ("run/classes.json", "belongs to the run"),
    ],
)
def test_files(tmp_path, run, path, sentence):
    for name in ("file", "there.json"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match=f"--json.*({sentence})"):
        check_file("json", tmp_path / path, Evaluate(run=run), overwrite=False)
    check_file("json", tmp_path / "new/deep/scores.json", Evaluate(run=run), overwrite=False)
    assert not (tmp_path / "new").exists()


def test_without_rights(tmp_path, run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"is not writable; change its permissions"):
        check_file("json", tmp_path / "scores.json", Evaluate(run=run), overwrite=False)
    with pytest.raises(UserError, match=r"is not writable; change its permissions"):
        check_folder("run", tmp_path / "new", Pretrain())


@pytest.fixture
def no_work(monkeypatch) -> None:
    def work(*args, **kwargs):
        raise AssertionError("began to work")

    for module, name in (
        (judges, "judge"),
        (predicting, "load_segmenter"),
        (opening, "open_model"),
        (looking, "open_model"),
        (data, "contact_sheet"),
        (report, "report_run"),
    ):
        monkeypatch.setattr(module, name, work)


def test_each_command_looks_first(tmp_path, run, no_work):
    there = tmp_path / "there.png"
    there.write_text("mine")
    with pytest.raises(UserError, match=r"--out .*exists"):
        data.show_data(DataShow(out=there))
    with pytest.raises(UserError, match=r"unknown figure format"):
        data.show_data(DataShow(out=tmp_path / "sheet.doc"))
    with pytest.raises(UserError, match=r"--folder: .* is a file"):
        data.make_data(DataMake(kind="shapes", folder=there / "x"))
    for probe in (None, "knn"):
        with pytest.raises(UserError, match=r"--json .*exists"):
            evaluate.run(Evaluate(run=run, json=there, probe=probe))
    with pytest.raises(UserError, match=r"--out .*exists"):
        report.run(Report(runs=(run,), out=there))
    with pytest.raises(UserError, match=r"--out .*is a file"):
        look.run(COMMANDS["look filters"](weights=("resnet18",), out=there))
    with pytest.raises(UserError, match=r"is also the input --images"):
        look.run(COMMANDS["look filters"](weights=("resnet18",), images=(tmp_path,), out=tmp_path))
    assert there.read_text() == "mine"


def test_scores_are_replaced_on_request(tmp_path):
    file = tmp_path / "new" / "scores.json"
    for number in (0.25, 0.5):
        evaluate.save(file, {"mean_iou": number})
    assert json.loads(file.read_text()) == {"mean_iou": 0.5}
