"""What version 0.1 wrote is read and gone on with: two runs of commit a21deeb, and a config.yaml for each choice.

pretrain: Barlow Twins on 8 scenes of 32 pixels, a resnet10t of 4 channels, stopped after the first of 4 steps (so that
it can be resumed). segment: a linear head on it, for one epoch. All in CPU, by:

    twinsight pretrain --run pretrain $TINY --method.projector 8 8 --method.views.size 32 --batch-size 4 --epochs 2 \
        --probe none --max-minutes 0.0001
    twinsight segment --run segment --weights pretrain $TINY --augment.size 32 --batch-size 4 --epochs 1 --probe none

where TINY is --backbone resnet10t --backbone.channels 4 4 4 4 --backbone.stem-width 4 --data.count 8 --data.val-count 4
--data.size 32 --workers 0 --accelerator cpu --optimizer sgd --checkpoint-minutes 0.01.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from twinsight.cli import main
from twinsight.errors import UserError
from twinsight.options import config
from twinsight.options.commands import COMMANDS
from twinsight.options.config import FORMAT, dump, flat, read
from twinsight.options.parse import parse
from twinsight.runs.rows import read_rows

ARCHIVE = Path(__file__).with_name("runs-of-0.1.tar.xz")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """The runs, in the current folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*argv: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in argv])
    assert not stopped.value.code


def test_it_is_small():
    assert ARCHIVE.stat().st_size < 300_000


def test_an_old_segmenter_is_evaluated_used_and_looked_into(old):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save("photo.png")
    call("evaluate", "segment", "--workers", "0", "--json", "scores.json")
    call("evaluate", "segment", "--workers", "0", "--checkpoint", "last")
    call("predict", "segment", "photo.png")
    assert Image.open("predictions/photo.png").size == (48, 40)
    call("look", "predictions", "--weights", "segment", "--sample", "2")
    call("report", "segment", "pretrain")


def test_an_old_backbone_is_looked_into_and_measured(old):
    call("look", "filters", "--weights", "pretrain")
    call("look", "correlation", "--weights", "pretrain", "--sample", "4")
    call("weights", "pretrain")


def test_an_interrupted_old_pretraining_goes_on(old):
    call("pretrain", "--resume", "pretrain", "--max-minutes", "10", "--log-every", "1")
    assert [row["step"] for row in read_rows(Path("pretrain/metrics.csv")) if "train/loss" in row] == [1, 2, 3]
    assert yaml.safe_load(Path("pretrain/config.yaml").read_text())["format"] == FORMAT


def test_an_old_training_of_a_segmenter_goes_on(old):
    call("segment", "--resume", "segment", "--epochs", "2")
    assert max(row["epoch"] for row in read_rows(Path("segment/metrics.csv"))) == 1


def test_every_option_of_the_old_configs_is_read(old):
    files = sorted(Path("configs").glob("*.yaml"))
    assert len(files) == 18
    for file in files:
        command = file.name.partition("-")[0]
        options = parse(COMMANDS[command], command, [], read(file, command), file)
        now = flat(yaml.safe_load(dump(options, command)))
        for name, value in flat(yaml.safe_load(file.read_text())).items():
            assert now[name] == value, f"{file}: {name}"


def test_a_renamed_option_is_read_by_its_old_name(tmp_path, monkeypatch):
    file = tmp_path / "config.yaml"
    file.write_text("command: segment\nformat: 2\nsteps_total: 3\nhead: {name: fcn, width: 7}\n")
    monkeypatch.setattr(config, "FORMAT", 4)
    monkeypatch.setattr(config, "RENAMED", {2: {"epochs": "never"}, 3: {"steps_total": "rounds"},
                                            4: {"head.width": "head.channels", "rounds": "epochs"}})  # fmt: skip
    options = parse(COMMANDS["segment"], "segment", ["--config", str(file)])
    assert (options.epochs, options.head.name, options.head.channels) == (3, "fcn", 7)
    file.write_text("format: 4\nrounds: 3\n")
    with pytest.raises(UserError, match="unknown key rounds"):
        parse(COMMANDS["segment"], "segment", ["--config", str(file)])


@pytest.mark.parametrize("written", [FORMAT + 1, -1, "x", True])
def test_a_config_of_a_later_version_is_refused(tmp_path, written):
    (tmp_path / "a.yaml").write_text(f"format: {written}\nepochs: 3\n")
    with pytest.raises(UserError, match=r"has format .*, and this version reads 0 to \d; update twinsight"):
        parse(COMMANDS["segment"], "segment", ["--config", str(tmp_path / "a.yaml")])
