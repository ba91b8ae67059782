"""--overwrite removes nothing but a run, and that only once there is a better one."""

from pathlib import Path

import pytest

from twinsight.errors import UserError
from twinsight.options.commands import Pretrain
from twinsight.runs.directory import Run


def old_run(folder: Path) -> Path:
    run = Run.new(folder, "pretrain", "what")
    with run.training(Pretrain(lr=0.5), "pretrain"):
        run.last.write_text("old")
        (folder / "metrics.csv").write_text("old")
    return folder


def failing(run: Run, error: type[BaseException], metrics: str) -> None:
    with run.training(Pretrain(), "pretrain"):
        (run.folder / "metrics.csv").write_text(metrics)
        raise error


def replacing(folder: Path) -> Run:
    return Run.new(folder, "pretrain", "what", overwrite=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "files", [["config.yaml"], ["a.jpg", "config.yaml"], [".twinsight", "a.jpg"], ["checkpoints/a"]]
)
def test_a_folder_of_something_else_is_left_alone(tmp_path, files):
    for name in files:
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("command: pretrain\nfoo: bar\n")
    before = content(tmp_path)
    with pytest.raises(
        UserError, match="was not made by twinsight pretrain or segment, so --overwrite leaves it alone"
    ):
        replacing(tmp_path / "x")
    assert content(tmp_path) == before


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "of an earlier version"])
def test_a_stranger_among_the_files_of_a_run_is_named(tmp_path, marked):
    run = old_run(tmp_path / "run")
    if not marked:
        (run / ".twinsight").unlink()
    replacing(run)
    (run / "thesis.tex").write_text("years")
    before = content(tmp_path)
    with pytest.raises(UserError, match=r"contains thesis.tex, which twinsight did not write"):
        replacing(run)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "{",
        "[]",
        '{"format": 99, "command": "pretrain"}',
        '{"format": 1, "command": "rm"}',
        '{"format": 1, "command": "segment"}',
    ],
)
def test_a_marker_counts_only_with_what_belongs_in_it(tmp_path, marker):
    run = old_run(tmp_path / "run")
    (run / ".twinsight").write_text(marker)
    with pytest.raises(UserError, match="leaves it alone"):
        replacing(run)


def test_the_old_run_waits_for_the_new_ones_first_checkpoint(tmp_path):
    folder = old_run(tmp_path / "run")
    new = replacing(folder)
    assert names(tmp_path) == ["run"]  # so far nothing is moved
    with new.training(Pretrain(lr=0.25), "pretrain"):
        assert (tmp_path / ".run.replaced/checkpoints/last.ckpt").read_text() == "old"
        new.settle()
        assert names(tmp_path) == [".run.replaced", "run"]
        new.last.write_text("new")
        new.settle()
        assert names(tmp_path) == ["run"]
    assert content(folder)["checkpoints/last.ckpt"] == b"new"
    assert b"lr: 0.25" in content(folder)["config.yaml"]


@pytest.mark.parametrize("error", [UserError, RuntimeError, KeyboardInterrupt])
def test_the_old_run_is_back_if_the_new_one_fails_before(tmp_path, error):
    folder = old_run(tmp_path / "run")
    before = content(folder)
    with pytest.raises(error):
        failing(replacing(folder), error, "new")
    assert content(folder) == before
    assert names(tmp_path) == ["run"]


def killed(folder: Path, checkpoint: bool = False) -> None:
    """As a process leaves its run that is killed while it replaces another."""
    run = replacing(folder)
    run.take()
    run.write(Pretrain(), "pretrain")
    if checkpoint:
        run.last.write_text("new")
    run._lock.release()


def test_killed_before_the_first_checkpoint_the_old_run_is_found(tmp_path):
    folder = old_run(tmp_path / "run")
    killed(folder)
    where = rf"is in {tmp_path}/.run.replaced"
    with pytest.raises(UserError, match=where):
        Run.new(folder, "pretrain", "what")
    with pytest.raises(UserError, match=where):
        Run.reopen(folder, Pretrain(), "pretrain")
    with pytest.raises(UserError):
        failing(replacing(folder), UserError, "new")
    assert content(folder)["checkpoints/last.ckpt"] == b"old"


def test_killed_between_the_two_folders_the_old_run_is_found(tmp_path):
    folder = old_run(tmp_path / "run")
    folder.rename(tmp_path / ".run.replaced")
    with pytest.raises(UserError, match=rf"still to be replaced.*is in {tmp_path}/.run.replaced"):
        Run.new(folder, "pretrain", "what")
    killed(folder, checkpoint=True)
    with replacing(folder).training(Pretrain(), "pretrain"):
        assert (tmp_path / ".run.replaced/checkpoints/last.ckpt").read_text() == "new"
        (folder / "checkpoints/last.ckpt").write_text("newest")
    assert names(tmp_path) == ["run"]


def test_resumed_the_new_run_is_settled(tmp_path):
    folder = old_run(tmp_path / "run")
    killed(folder, checkpoint=True)
    with Run.reopen(folder, Pretrain(), "pretrain").training(Pretrain(), "pretrain"):
        pass
    assert names(tmp_path) == ["run"]


def test_through_a_link_the_run_itself_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    folder = old_run(tmp_path / "disk/run")
    (tmp_path / "link").symlink_to(folder)
    run = replacing(tmp_path / "link")
    with run.training(Pretrain(lr=0.25), "pretrain"):
        run.last.write_text("new")
    assert names(tmp_path) == ["disk", "link"]
    assert names(tmp_path / "disk") == ["run"]
    assert b"lr: 0.25" in content(folder)["config.yaml"]
    (tmp_path / "nowhere").symlink_to(tmp_path / "disk/none")
    make = Run.new(tmp_path / "nowhere", "pretrain", "what")
    make.take()
    make.write(Pretrain(), "pretrain")
    assert (tmp_path / "disk/none/config.yaml").is_file()


def test_a_new_run_that_fails_with_nothing_to_read_goes(tmp_path):
    for name, row, left in (("a", "\n", []), ("b", "step,train/loss\n0,1\n", ["b"])):
        with pytest.raises(UserError):
            failing(Run.new(tmp_path / name, "pretrain", "x"), UserError, row)
        assert names(tmp_path) == left
