"""What can be refused is refused before anything is loaded, decoded or searched."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from segmenting_runs import DATA, segment_options

from twinsight.assemble import open as opening
from twinsight.assemble import pretraining, segmenting, training
from twinsight.assemble.checks import open_run
from twinsight.backbones import hub
from twinsight.commands import pretrain, segment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import FolderOptions, ShapesOptions
from twinsight.options.heads import FusionGateOptions, LinearOptions
from twinsight.options.methods.attention_term import AttentionTermOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.public import VocOptions
from twinsight.plain import read_yaml
from twinsight.runs.directory import Run
from twinsight.segmentation.classes import save_classes


def pretrain_options(run: Path | None, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_resnet"), "data": ShapesOptions(count=16, size=32), "probe": "none",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


COMMANDS = {"pretrain": (pretrain, pretrain_options), "segment": (segment, segment_options)}


def expensive(*args, **kwargs):
    raise AssertionError("began to work")


@pytest.fixture
def building(monkeypatch) -> None:
    """Whatever builds, loads or searches fails."""
    for module, name in (
        (pretraining, "build_parts"), (segmenting, "build_parts"), (opening, "load_weights"), (training, "cached"),
        (pretraining, "found_lr"), (segmenting, "found_lr"), (hub, "fetch"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, expensive)


@pytest.fixture
def work(monkeypatch, building) -> None:
    """And whatever opens data."""
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
        ({"accumulate_exact": True}, "--accumulate-exact: requires"),
        ({"ema": 0.9, "swa": 0.5}, "--swa: cannot be combined"),
        ({"early_stopping": 2}, "--early-stopping"),
        ({"devices": 2, "find_lr": True}, "--find-lr: the search runs in one process"),
        ({"workers": 1000}, "--workers 1000: must be"),
        ({"compile": True, "attention": AttentionTermOptions(sharpness=1.0)}, "--compile: cannot be combined"),
        ({"run": Path("/dev/null/run")}, "/dev/null is a file"),
        ({"run": Path("x" * 300)}, "file name too long"),
        ({"run": None, "resume": Path("run"), "overwrite": True}, "--overwrite: cannot be combined"),
        ({"resume": Path("run")}, "--run: cannot be combined"),
    ],
    ids=str,
)
def test_options_that_contradict_one_another(tmp_path, work, changes, sentence):
    options = replace(pretrain_options(tmp_path / "run"), **changes)
    with pytest.raises(UserError, match=sentence):
        pretrain.run(options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "changes", "sentence"),
    [
        ("segment", {"head": LinearOptions(levels=(9,))}, "--head.levels 9: the backbone has"),
        ("segment", {"head": FusionGateOptions()}, "has no attention to record; choose others"),
        ("segment", {"freeze": 99}, "--freeze 99: test_resnet has"),
        ("segment", {"backbone": TimmOptions(name="resnet51")}, "timm has no such model"),
        ("segment", {"head": FusionGateOptions(), "checkpointing": True}, "--checkpointing: cannot be combined"),
        ("pretrain", {"backbone": TimmOptions(name="resnet51", pretrained=True)}, "timm has no such model"),
        ("pretrain", {"attention": AttentionTermOptions(sharpness=1.0)}, "has no attention to record"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit(tmp_path, building, command, changes, sentence):
    """Found on a sketch of the network."""
    module, options = COMMANDS[command]
    with pytest.raises(UserError, match=sentence):
        module.run(options(tmp_path / "run", **changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "changes", "sentence"),
    [
        ("segment", {"class_weights": (1.0, 2.0)}, "--class-weights: 2 given for"),
        ("segment", {"batch_size": 9}, r"--batch-size 9: exceeds the number of images per process \(8\)"),
        ("pretrain", {"probe": "predictions"}, "--probe predictions: needs a segmenter"),
        ("pretrain", {"probe": "attention"}, "--probe attention: this backbone has no attention"),
        ("pretrain", {"probe": "knn"}, "--probe knn: needs labels or masks"),
    ],
    ids=str,
)
def test_what_the_data_decide(tmp_path, monkeypatch, command, changes, sentence):
    """Found before anything is built."""
    module, options = COMMANDS[command]
    (photos := tmp_path / "photos").mkdir()
    for i in range(4):
        write_noise(photos / f"{i}.png", i)
    data = FolderOptions(root=photos) if command == "pretrain" else DATA
    for parts in (pretraining, segmenting):
        monkeypatch.setattr(parts, "build_parts", None)
    with pytest.raises(UserError, match=sentence):
        module.run(options(tmp_path / "run", **{"data": data, "batch_size": 4} | changes))
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_data_that_must_be_downloaded_come_last(tmp_path, building, monkeypatch):
    monkeypatch.setattr(VocOptions, "open", expensive)
    data = VocOptions(root=tmp_path / "voc", download=True)
    with pytest.raises(UserError, match=r"--head\.levels 9: the backbone has"):
        segment.run(segment_options(tmp_path / "run", data=data, head=LinearOptions(levels=(9,))))


REFUSED_AT_THE_DOOR = """
import contextlib, io, json, sys
import twinsight
from twinsight.cli import main

for line in sys.stdin:
    said, code = io.StringIO(), 0
    with contextlib.redirect_stderr(said):
        try:
            eval(line) if line.startswith("twinsight.") else main(line.split())
        except SystemExit as end:
            code = end.code
        except twinsight.UserError as error:
            code = 2
            print(error, file=sys.stderr)
    print(json.dumps([code, said.getvalue(), "torch" in sys.modules]))
"""
REFUSALS = {
    "pretrain nowhere": "--data nowhere: unknown, and there is no such folder",
    "pretrain empty": "empty: holds no image",
    "pretrain photos --data.train nosuch": "split nosuch: there is no such split",
    "pretrain photos --batch-size 100": "--batch-size 100: exceeds the number of images per process (8)",
    "pretrain photos --run run": "run: exists and is not empty",
    "pretrain --ema 0.9 --swa 0.5": "--swa: cannot be combined with --ema",
    "pretrain --backbone resnet51": "--backbone resnet51: timm has no such model; did you mean resnet51q",
    "pretrain --weights nowhere": "--weights nowhere: no such file or run directory, and no official weights",
    "pretrain --weights dino_vits61": "did you mean dino_vits16?",
    "pretrain --accelerator gpux": "--accelerator gpux: must be one of",
    "pretrain --probe nothing": "--probe nothing: no such probe",
    "pretrain --probe-images nowhere": "--probe-images nowhere: no such folder",
    "pretrain --data voc --data.root nowhere": "nowhere: holds no PASCAL VOC 2012",
    "segment photos": "--data: this data set has no masks",
    "segment photos --data.masks nowhere": "nowhere: there is no such folder",
    "segment pairs --data.classes nowhere.txt": "nowhere.txt: there is no such file",
    "segment pairs --data.train test": "--data.train test: a test split is only for measuring",
    "segment pairs --data.values 0 1 2": "--data.values 0 1 2: gives 3 different values for 2 classes",
    "segment pairs --data.val-fraction 0.5 --class-weights 1 2 3": "--class-weights: 3 given for",
    "segment --weights no/where.pt": "--weights no/where.pt: no such file or run directory; check",
    "segment --loss foo": "'foo' is not a loss",
    "segment --loss dice --label-smoothing 0.1": "--label-smoothing: only cross-entropy uses it",
    "segment --head fusion-gate --compile": "--compile: cannot be combined with --head fusion-gate",
    "predict nowhere photos": "nowhere: not a run directory",
    "predict run photos": "run: is a run of `twinsight pretrain`, which has no head",
    "predict begun photos": "model.safetensors: is missing; finish the training",
    "predict street nowhere": "nowhere: no such file or folder",
    "predict street empty": "empty: holds no image",
    "predict street photos --out street/config.yaml": "street/config.yaml: is a file, not a folder",
    "predict street photos --out done": "done/0.png: exists; choose another --out or give --overwrite",
    "look attention photos": "--weights: none given",
    "look attention photos --weights nowhere": "--weights nowhere: not a run directory, a file or a timm model",
    "look attention photos --weights empty": "empty: holds no weights",
    "look attention photos --weights random:photos": "a weights file has no untrained version",
    "look attention nowhere --weights resnet18": "nowhere: no such file or folder",
    "look attention --data nowhere --weights resnet18": "--data nowhere: unknown, and there is no such folder",
    "look attention photos --weights resnet18 --out done": "done/attention-maps.png: exists",
    "look filters photos --weights resnet18": "images: this probe looks at the network alone",
    "look curves --weights empty": "--weights empty: no run that has logged anything",
    "evaluate nowhere": "nowhere: not a run directory",
    "evaluate run pairs": "run: is a backbone without a segmentation head",
    "evaluate begun pairs": "model.safetensors: is missing; finish the training",
    "evaluate street pairs": "--data: its classes (sky, road, ...) are not those that street was trained on",
    "evaluate street photos": "photos: has no masks",
    "evaluate street pairs --json photos": "--json photos: is a folder",
    "evaluate resnet18 pairs --probe foo": "--probe foo: does not score a backbone",
    "evaluate nowhere pairs --probe patches": "--weights nowhere: not a run directory",
    "evaluate resnet18 photos --probe patches": "photos: has no masks",
    "weights nowhere.pt": "nowhere.pt: no such file, run directory or official weights",
    "weights empty": "empty: holds no weights",
    "weights street --backbone resnet51": "--backbone resnet51: timm has no such model",
    "twinsight.load('nowhere')": "source='nowhere': not a run directory",
    "twinsight.pretrain('nowhere')": "data='nowhere': unknown",
    "twinsight.evaluate('nowhere', 'pairs')": "nowhere: not a run directory",
    "twinsight.evaluate('street', 'pairs')": "data: its classes (sky, road, ...) are not those that street",
    "twinsight.evaluate('resnet18', 'photos', probe='patches')": "photos: has no masks",
}


def write_noise(file: Path, seed: int, top: int = 256) -> None:
    cv2.imwrite(str(file), np.random.default_rng(seed).integers(0, top, (32, 32)).astype(np.uint8))


def test_refusals_without_pytorch(tmp_path):
    begun(tmp_path / "run", "pretrain")
    (tmp_path / "empty").mkdir()
    for folder in ("photos", "pairs/images", "pairs/masks"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(8):
            write_noise(tmp_path / folder / f"{i}.png", i, top=2 if folder.endswith("masks") else 256)
    (tmp_path / "pairs" / "classes.txt").write_text("sky\nroad\n")
    for name in ("begun", "street"):
        begun(tmp_path / name, "segment")
    save_classes(tmp_path / "street/classes.json", ("road", "sky"), np.zeros((2, 3), np.uint8))
    (tmp_path / "street/model.safetensors").touch()
    (tmp_path / "done").mkdir()
    for name in ("0.png", "attention-maps.png"):
        (tmp_path / "done" / name).touch()
    lines = "\n".join(REFUSALS)
    done = subprocess.run(
        [sys.executable, "-c", REFUSED_AT_THE_DOOR], input=lines, capture_output=True, text=True, cwd=tmp_path
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(REFUSALS), done.stderr
    for (line, sentence), (code, said, loaded) in zip(REFUSALS.items(), answers):
        assert (code, sentence in said, len(said.splitlines()), loaded) == (2, True, 1, False), (line, said)


def test_options_are_left_as_they_were(tmp_path):
    options = pretrain_options(tmp_path / "run", find_lr=True, find_batch_size=True)
    before = deepcopy(options)
    pretrain.run(options)
    assert options == before
    kept = read_yaml(tmp_path / "run/config.yaml")
    assert (kept["find_lr"], kept["find_batch_size"], kept["batch_size"]) == (False, False, 16)
    assert kept["lr"] != options.lr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_training_returns_its_run(tmp_path, command, capfd):
    """And says what came of it, where the weights and the report are, and what to do next."""
    module, options = COMMANDS[command]
    run = tmp_path / "run"
    assert module.run(options(run)) == run
    said = capfd.readouterr().err
    weights = {"pretrain": "backbone.safetensors", "segment": "model.safetensors"}[command]
    assert f"{command}: done. " in said
    assert f"run {run} | weights {run / weights}" in said
    assert f"report {run / 'report.html'}" in said
    assert f"    twinsight evaluate {run}" in said
    resumed = options(None, resume=run)
    assert module.run(resumed) == run  # it has ended
    (run / weights).unlink()
    assert module.run(resumed) == run
    assert (run / weights).is_file()
    assert module.run(options(None, dry_run=True)) is None


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
    with pytest.raises(UserError, match=r"--run .*: (is also|contains) the input --data\.(root|masks)"):
        segment.run(segment_options(Path(run), data=data, overwrite=True))


def test_a_run_is_not_replaced_by_one_that_starts_from_its_weights(tmp_path, work):
    folder = begun(tmp_path / "run", "pretrain")
    (folder / "backbone.safetensors").write_text("")
    for weights in (folder, folder / "backbone.safetensors"):
        with pytest.raises(UserError, match="the input --weights"):
            pretrain.run(pretrain_options(folder, weights=weights, overwrite=True))


def test_a_run_within_the_folder_of_images_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_run(segment_options(Path("runs/a"), data=FolderOptions()), "segment", "x")
    assert DATA
