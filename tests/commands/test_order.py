"""What can be refused is refused before anything is loaded, decoded or searched."""

from pathlib import Path

import pytest
from conftest import DATA, segment_options

from twinsight.assemble import open as opening
from twinsight.assemble.training import open_run
from twinsight.commands import pretrain, segment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import FolderOptions, ShapesOptions
from twinsight.options.methods import AttentionTermOptions, BarlowTwinsOptions, TwoViewsOptions
from twinsight.runs.directory import Run


def pretrain_options(run: Path | None, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_resnet"), "data": ShapesOptions(count=16, size=32), "probe": "none",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


COMMANDS = {"pretrain": (pretrain, pretrain_options), "segment": (segment, segment_options)}


@pytest.fixture
def work(monkeypatch) -> None:
    """Whatever takes time fails."""

    def expensive(*args, **kwargs):
        raise AssertionError("began to work")

    for module, name in (
        (pretrain, "make_backbone"), (segment, "make_model"), (opening, "load_weights"), (pretrain, "cached"),
        (segment, "cached"), (pretrain, "found_lr"), (segment, "found_lr"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, expensive)
    monkeypatch.setattr(ShapesOptions, "open", expensive)
    monkeypatch.setattr(FolderOptions, "open", expensive)


def begun(folder: Path, command: str) -> Path:
    run = Run.new(folder, command, "what")
    with run.training(COMMANDS[command][1](None), command):
        run.last.write_text("")
    return folder


@pytest.mark.parametrize("search", ["find_lr", "find_batch_size", "dry_run"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_exists(tmp_path, work, command, search):
    module, options = COMMANDS[command]
    begun(tmp_path / "run", command)
    with pytest.raises(UserError, match=r"exists and is not empty"):
        module.run(options(tmp_path / "run", **{search: True}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 1}, "--batch-size 1"),
        ({"accumulate_exact": True}, "--accumulate-exact: needs"),
        ({"ema": 0.9, "swa": 0.5}, "--swa: cannot be combined"),
        ({"early_stopping": 2}, "--early-stopping"),
        ({"devices": 2, "find_lr": True}, "--find-lr: one process"),
        ({"workers": 1000}, "--workers: 1000"),
        ({"compile": True, "attention": AttentionTermOptions(sharpness=1.0)}, "--compile: cannot be combined"),
        ({"run": Path("/dev/null/run")}, "/dev/null is a file"),
        ({"run": Path("x" * 300)}, "file name too long"),
        ({"run": None, "resume": Path("run"), "overwrite": True}, "--overwrite: cannot be combined"),
        ({"resume": Path("run")}, "--run: cannot be combined"),
    ],
    ids=str,
)
def test_options_that_contradict_one_another(tmp_path, work, changes, sentence):
    options = pretrain_options(tmp_path / "run")
    for name, value in changes.items():
        setattr(options, name, value)
    with pytest.raises(UserError, match=sentence):
        pretrain.run(options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_resume_that_would_make_another_training(tmp_path, work, command):
    module, options = COMMANDS[command]
    begun(tmp_path / "run", command)
    with pytest.raises(UserError, match="--find-lr: is not what"):
        module.run(options(None, resume=tmp_path / "run", find_lr=True))


@pytest.mark.parametrize("run", ["data", "data/..", "link", "data/masks"])
def test_what_is_read_is_never_a_run(tmp_path, work, monkeypatch, run):
    begun(tmp_path / "data", "segment")  # it looks like a run, and is the data of another
    (tmp_path / "data/masks").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    data = FolderOptions(root=Path("data"), masks=tmp_path / "link/masks")
    with pytest.raises(UserError, match=r"--run .*: (is|holds) what --data\.(root|masks) reads"):
        segment.run(segment_options(Path(run), data=data, overwrite=True))


def test_a_run_is_not_replaced_by_one_that_starts_from_its_weights(tmp_path, work):
    folder = begun(tmp_path / "run", "pretrain")
    (folder / "backbone.safetensors").write_text("")
    for weights in (folder, folder / "backbone.safetensors"):
        with pytest.raises(UserError, match="what --weights reads"):
            pretrain.run(pretrain_options(folder, weights=weights, overwrite=True))


def test_a_run_within_the_folder_of_images_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_run(segment_options(Path("runs/a"), data=FolderOptions()), "segment", "x")
    assert DATA
