"""How far the options of a training travel through the code."""

import sys
from pathlib import Path

import pytest

import twinsight
from twinsight.cli import main
from twinsight.options.commands import Pretrain
from twinsight.training.trainer import Training

ROOT = str(Path(twinsight.__file__).parent)
FLAGS = "--data.count 4 --data.size 16 --batch-size 2 --backbone test_resnet --method.projector 4 --workers 0 --run run"


class Loop(Exception):
    """The training's loop has been reached."""


def from_the_command_line() -> None:
    main(["pretrain", "shapes", *FLAGS.split()])


def from_python() -> None:
    twinsight.pretrain(
        {"name": "shapes", "count": 4, "size": 16}, batch_size=2, backbone="test_resnet",
        method={"name": "barlow-twins", "projector": [4]}, workers=0, run="run",
    )  # fmt: skip


@pytest.mark.parametrize("entry", [from_the_command_line, from_python])
def test_options_pass_through_few_files(entry, tmp_path, monkeypatch):
    """Files with a function that has them in hand, from the entry to the loop."""
    visited: set[str] = set()

    def look(frame, event, _) -> None:
        file = frame.f_code.co_filename
        inside = event in ("call", "return") and file.startswith(ROOT)
        if inside and any(isinstance(value, Pretrain) for value in frame.f_locals.values()):
            visited.add(Path(file).relative_to(ROOT).as_posix())

    def loop(*_) -> None:
        raise Loop

    monkeypatch.setattr(Training, "fit", loop)
    monkeypatch.chdir(tmp_path)
    sys.setprofile(look)
    try:
        with pytest.raises(Loop):
            entry()
    finally:
        sys.setprofile(None)
    assert {"commands/pretrain.py", "assemble/checks.py", "assemble/training.py"} <= visited
    assert len(visited) <= 13, visited  # one of them gives settings at "auto" their values
