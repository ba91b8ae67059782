"""When the last checkpoint is written, and that a run goes on from each as if it had never stopped."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny import Tiny, equal_runs, fit, load, send

from twinsight.errors import UserError
from twinsight.runs.rows import read_rows
from twinsight.training import last
from twinsight.training.last import LastCheckpoint
from twinsight.training.signals import ASKING

AVERAGES = pytest.mark.parametrize("changes", [{}, {"ema": 0.5}, {"swa": 0.4}, {"accumulate": 2}], ids=str)


def at(step: int, action=send):
    return lambda forward: action() if forward == step else None


def whole(folder: Path, validated: dict | None = None, **changes) -> Path:
    assert fit(folder / "whole", Tiny(), validated=validated, **changes) == "done"
    return folder / "whole"


# In the first step of all, within the first epoch, in its last step, in the first of the second, in the very last.
@pytest.mark.parametrize("step", [1, 3, 4, 5, 12])
def test_a_signal_within_a_step_saves_what_was_before_it(tmp_path, step):
    assert fit(tmp_path / "cut", Tiny(at(step))) == signal.SIGTERM
    assert load(tmp_path / "cut")["global_step"] == step - 1
    assert fit(tmp_path / "cut", Tiny(), resume=True) == "done"
    equal_runs(whole(tmp_path), tmp_path / "cut")


@AVERAGES
def test_averages_and_added_up_gradients_are_those_of_the_last_update(tmp_path, changes):
    assert fit(tmp_path / "cut", Tiny(at(7)), validated={}, **changes) == signal.SIGTERM
    assert fit(tmp_path / "cut", Tiny(), validated={}, resume=True, **changes) == "done"
    equal_runs(whole(tmp_path, {}, **changes), tmp_path / "cut")


@AVERAGES
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_signal_within_a_validation_does_not_wait_for_its_end(tmp_path, changes, epoch):
    validated = {"acts": at(epoch)}
    assert fit(tmp_path / "cut", Tiny(), validated=validated, **changes) == signal.SIGTERM
    assert sum("val/score" in row for row in read_rows(tmp_path / "cut/metrics.csv")) == epoch - 1
    assert fit(tmp_path / "cut", Tiny(), validated={}, resume=True, **changes) == "done"
    equal_runs(whole(tmp_path, {}, **changes), tmp_path / "cut")


def test_stopped_at_every_second_step_and_in_every_validation(tmp_path):
    """A run that hardly gets anywhere is in the end like any other."""
    ends = [fit(tmp_path / "cut", Tiny(at(2)), validated={"acts": at(1)})]
    while ends[-1] != "done":
        epoch = len(read_rows(tmp_path / "cut/metrics.csv")) // 4 + 1
        acts = at(epoch) if len(ends) % 2 else None
        ends.append(fit(tmp_path / "cut", Tiny(at(2)), validated={"acts": acts}, resume=True))
    assert len(ends) > 10
    equal_runs(whole(tmp_path, {}), tmp_path / "cut")


def test_checkpoints_by_time_within_an_epoch(tmp_path, monkeypatch):
    """Killed, without a word, after a checkpoint that was due to time alone."""
    monkeypatch.setattr(
        last.time, "monotonic", partial(next, iter(range(0, 10**6, 20)))
    )  # each look at the clock: 20 s

    class Killed(BaseException):
        pass

    def die():
        raise Killed

    monkeypatch.setattr(LastCheckpoint, "on_exception", lambda *args: None)  # as SIGKILL, which runs no handler
    with pytest.raises(Killed):
        fit(tmp_path / "cut", Tiny(at(7, die)), checkpoint_minutes=1)
    assert 1 < load(tmp_path / "cut")["global_step"] < 7
    assert load(tmp_path / "cut")["global_step"] % 4
    fit(tmp_path / "cut", Tiny(), resume=True)
    monkeypatch.undo()
    equal_runs(whole(tmp_path), tmp_path / "cut")


def test_the_first_step_is_saved(tmp_path, monkeypatch):
    seen = []
    fit(tmp_path / "run", Tiny(lambda forward: seen.append((tmp_path / "run/checkpoints/last.ckpt").is_file())))
    assert seen[:3] == [False, True, True]


def test_no_row_is_lost_to_a_kill_right_after_a_checkpoint(tmp_path, monkeypatch):
    write, steps = last.write_checkpoint, []

    def look(trainer, file):
        write(trainer, file)
        rows = read_rows(tmp_path / "run/metrics.csv")
        steps.append((load(tmp_path / "run")["global_step"], [row["step"] for row in rows]))

    monkeypatch.setattr(last, "write_checkpoint", look)
    fit(tmp_path / "run", Tiny(), checkpoint_minutes=1e-9)
    assert len(steps) == 12
    assert all(rows == list(range(step)) for step, rows in steps)


def test_an_error_saves_what_was_before_it_and_says_the_way_on(tmp_path, capfd):
    def fail():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    with pytest.raises(UserError, match=r"--workers: .* died \(signal: Killed\).*memory"):
        fit(tmp_path / "cut", Tiny(at(7, fail)))
    assert f"continue with --resume {tmp_path / 'cut'}" in capfd.readouterr().err
    assert load(tmp_path / "cut")["global_step"] == 6
    assert fit(tmp_path / "cut", Tiny(), resume=True) == "done"
    equal_runs(whole(tmp_path), tmp_path / "cut")


def test_an_error_in_the_first_step_keeps_the_directory(tmp_path):
    def fail():
        raise OSError(28, "No space left on device", "somewhere")

    with pytest.raises(UserError, match="somewhere: no space left; free disk space"):
        fit(tmp_path / "run", Tiny(at(1, fail)))
    assert (tmp_path / "run/config.yaml").is_file()
    assert not (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    sync, count = os.fsync, []

    def full(number):
        if os.path.realpath(f"/proc/self/fd/{number}").endswith(".last.ckpt.tmp"):
            count.append(number)
            if len(count) > 3:
                raise OSError(28, "No space left on device")
        sync(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"last.ckpt: could not be written at step \d+ \(No space left"):
        fit(tmp_path / "cut", Tiny(), checkpoint_minutes=1e-9)
    monkeypatch.undo()
    assert sorted(file.name for file in (tmp_path / "cut/checkpoints").iterdir()) == ["last.ckpt"]
    assert 0 < load(tmp_path / "cut")["global_step"] < 12
    fit(tmp_path / "cut", Tiny(), resume=True)
    equal_runs(whole(tmp_path), tmp_path / "cut")


def test_asked_twice_stops_without_saving(tmp_path, monkeypatch):
    monkeypatch.setattr("twinsight.training.signals.SAME", 0.0)

    def again(self, trainer):
        send(signal.SIGINT)

    def twice():
        monkeypatch.setattr(LastCheckpoint, "save", again)
        send(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", Tiny(at(6, twice)))
    assert load(tmp_path / "run")["global_step"] == 1


def test_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in ASKING]
    fit(tmp_path / "run", Tiny(), epochs=1)
    fit(tmp_path / "cut", Tiny(at(2)), epochs=1)
    assert [signal.getsignal(number) for number in ASKING] == before


def test_out_of_time(tmp_path):
    assert fit(tmp_path / "cut", Tiny(), max_minutes=1e-9) == "out of time"
    assert load(tmp_path / "cut")["global_step"] == 1
    assert fit(tmp_path / "cut", Tiny(), resume=True) == "done"
    equal_runs(whole(tmp_path), tmp_path / "cut")


def test_nothing_goes_through_the_systems_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    fit(tmp_path / "run", Tiny(), validated={})
    assert {file.name for file in tmp_path.iterdir()} == {"run"}
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 12
