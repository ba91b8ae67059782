import json
import math
import os
import signal
from pathlib import Path

import pytest
from test_last import at
from tiny import Tiny, equal_runs, fit, load, same

from twinsight.errors import UserError
from twinsight.runs.rows import read_rows
from twinsight.training import best, checkpoints
from twinsight.training.best import Record


def kept(run) -> list[tuple[str, float, int]]:
    return [(entry.file, entry.score, entry.step) for entry in Record(run / "checkpoints").read()]


def files(run) -> set[str]:
    return {file.name for file in (run / "checkpoints").iterdir()}


def test_the_record_has_exact_scores(tmp_path):
    scores = (0.50001, 0.50002, 0.50003, 0.5)  # alike in the names of the files
    fit(tmp_path / "run", Tiny(), validated={"scores": scores}, epochs=4, keep=2)
    assert kept(tmp_path / "run") == [("best-2-0.5000.ckpt", 0.50003, 12), ("best-1-0.5000.ckpt", 0.50002, 8)]
    assert files(tmp_path / "run") == {"last.ckpt", "best.json", "best-2-0.5000.ckpt", "best-1-0.5000.ckpt"}
    assert load(tmp_path / "run", "best-1-0.5000.ckpt")["global_step"] == 8
    entry = json.loads((tmp_path / "run/checkpoints/best.json").read_text())[0]
    assert entry.keys() == {"file", "score", "epoch", "step", "sha256"}


def test_of_equal_scores_the_first_is_the_best(tmp_path):
    fit(tmp_path / "run", Tiny(), validated={"scores": (0.5, 0.5, 0.5)})
    assert [step for _, _, step in kept(tmp_path / "run")] == [4]


def test_an_undefined_score_is_never_the_best(tmp_path):
    fit(tmp_path / "run", Tiny(), validated={"scores": (math.nan, math.nan)}, epochs=2)
    assert files(tmp_path / "run") == {"last.ckpt"}
    fit(tmp_path / "other", Tiny(), validated={"scores": (math.nan, 0.0, math.nan)})
    assert [score for _, score, _ in kept(tmp_path / "other")] == [0.0]


def test_strangers_change_nothing_and_stay(tmp_path):
    validated = {"scores": (0.5, 0.4, 0.6)}
    fit(tmp_path / "run", Tiny(at(6)), validated=validated)
    folder = tmp_path / "run/checkpoints"
    strangers = {"last-backup.ckpt", "last-1.ckpt", "best-9-0.9999.ckpt", "best-copy.ckpt"}
    for name in strangers:
        (folder / name).write_bytes((folder / "last.ckpt").read_bytes())
    fit(tmp_path / "run", Tiny(), validated=validated, resume=True)
    assert kept(tmp_path / "run") == [("best-2-0.6000.ckpt", 0.6, 12)]
    assert files(tmp_path / "run") == {"last.ckpt", "best.json", "best-2-0.6000.ckpt", *strangers}


class Killed(BaseException):
    """As SIGKILL: nothing is tidied up behind it."""


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("moment", ["writing", "before the record", "before the name", "before the old one goes"])
def test_killed_at_any_moment_at_most_keep_remain(tmp_path, monkeypatch, moment, keep):
    validated = {"scores": (0.3, 0.4, 0.5)}
    place = {
        "writing": (checkpoints.torch, "save"),
        "before the record": (best.Record, "write"),
        "before the name": (os, "replace"),
        "before the old one goes": (best.Record, "prune"),
    }[moment]
    original, unlink, dead = getattr(*place), Path.unlink, []

    def killed(*args, **kwargs):
        target = str(getattr(args[-1], "name", args[-1]))
        if "best-2" in target or (args and isinstance(args[0], Record) and len(Record.read(args[0])) > keep - 1):
            dead.append(True)
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(*place, killed)
    # A dead process removes nothing.
    monkeypatch.setattr(Path, "unlink", lambda self, **kwargs: None if dead else unlink(self, **kwargs))
    monkeypatch.setattr("twinsight.training.last.LastCheckpoint.on_exception", lambda *args: None)
    with pytest.raises(Killed):
        fit(tmp_path / "run", Tiny(), validated=validated, keep=keep)
    monkeypatch.undo()
    fit(tmp_path / "run", Tiny(), validated=validated, keep=keep, resume=True)
    assert [score for _, score, _ in kept(tmp_path / "run")] == [0.5, 0.4][:keep]
    assert len([name for name in files(tmp_path / "run") if name.startswith(("best-", ".best-"))]) == keep
    for name, _, step in kept(tmp_path / "run"):
        assert load(tmp_path / "run", name)["global_step"] == step


def test_early_stopping_leaves_a_last_checkpoint(tmp_path):
    scores = (0.5, 0.4, 0.3, 0.9)
    fit(tmp_path / "run", Tiny(), validated={"scores": scores}, epochs=4, early_stopping=2)
    assert load(tmp_path / "run")["global_step"] == 12
    assert len([row for row in read_rows(tmp_path / "run/metrics.csv") if "val/score" in row]) == 3


@pytest.mark.parametrize("epoch", [2, 3])
def test_early_stopping_counts_through_a_resume(tmp_path, epoch):
    scores = (0.5, 0.4, 0.3, 0.9)
    changes = {"epochs": 4, "early_stopping": 2}
    fit(tmp_path / "whole", Tiny(), validated={"scores": scores}, **changes)
    ended = fit(tmp_path / "cut", Tiny(), validated={"scores": scores, "acts": at(epoch)}, **changes)
    assert ended == signal.SIGTERM
    fit(tmp_path / "cut", Tiny(), validated={"scores": scores}, resume=True, **changes)
    equal_runs(tmp_path / "whole", tmp_path / "cut")
    assert kept(tmp_path / "whole") == kept(tmp_path / "cut")


def test_a_best_checkpoint_can_be_gone_on_from(tmp_path):
    fit(tmp_path / "run", Tiny(), validated={"scores": (0.3, 0.6, 0.5)})
    folder = tmp_path / "run/checkpoints"
    whole = load(tmp_path / "run")
    (folder / "last.ckpt").write_bytes((folder / "best-1-0.6000.ckpt").read_bytes())
    fit(tmp_path / "run", Tiny(), validated={"scores": (0.3, 0.6, 0.5)}, resume=True)
    assert same(whole["state_dict"], load(tmp_path / "run")["state_dict"])
    assert kept(tmp_path / "run") == [("best-1-0.6000.ckpt", 0.6, 8)]


def test_a_record_that_cannot_be_read(tmp_path):
    (tmp_path / "best.json").write_text("[{}]")
    with pytest.raises(UserError, match=r"best\.json: is damaged; delete it"):
        Record(tmp_path).read()
