"""--method none: a run like any other, but for the training."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import twinsight
from twinsight.assemble.open import open_model
from twinsight.assemble.pretraining import make_method
from twinsight.cli import main
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions

DATA = {"name": "shapes", "count": 8, "val_count": 4, "size": 32}


def untrained(run: Path, **options):
    return twinsight.pretrain(DATA, method="none", backbone="test_resnet", run=run, **options)


def weights(run):
    return load_file(run / "backbone.safetensors")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("none") / "run", seed=3)


def test_its_weights_are_those_that_a_training_begins_with(run):
    torch.manual_seed(3)
    options = Pretrain(method=BarlowTwinsOptions(projector=(8, 8)), backbone=TimmOptions(name="test_resnet"))
    expected = make_method(options, {}, empty=False)[0].trunk.network.state_dict()
    found = weights(run)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_given_weights_stay_as_they_are(run, tmp_path):
    found = weights(untrained(tmp_path / "run", weights=run, seed=4, epochs=5, lr=0.1))
    assert all(torch.equal(found[name], value) for name, value in weights(run).items())


def test_what_it_leaves_is_a_finished_run(run, capsys):
    assert run.finished
    assert run.metrics == []
    assert not (run / "checkpoints/last.ckpt").exists()
    assert "Nothing was trained (--method none)." in run.report.read_text()
    assert set(open_model(str(run.folder), None, "best", torch.device("cpu")).subjects) == {
        "method",
        "backbone",
        "network",
    }
    judged = twinsight.evaluate(run, DATA, probe="patches", workers=0)
    assert 0 < judged["patches"]["model"]["mean_iou"] < 1
    assert twinsight.look("erf", run).numbers
    segmented = twinsight.segment(
        DATA, weights=run, backbone="test_resnet", run=Path(f"{run.folder}-segment"), epochs=1, batch_size=4,
        workers=0, probe="none", augment={"size": 32},
    )  # fmt: skip
    assert segmented.finished


def test_it_is_replaced_only_if_asked(tmp_path):
    first = weights(untrained(tmp_path / "run"))
    with pytest.raises(twinsight.UserError, match="exists and is not empty"):
        untrained(tmp_path / "run")
    second = weights(untrained(tmp_path / "run", seed=1, overwrite=True))
    assert any(not torch.equal(first[name], value) for name, value in second.items())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


REFUSED = r"cannot be combined with .*none.*, which trains nothing; leave it out"


@pytest.mark.parametrize("option", [{"find_lr": True}, {"find_batch_size": True}, {"attention": {"sharpness": 1}}])
def test_what_asks_for_a_training_is_refused(option, tmp_path):
    with pytest.raises(twinsight.UserError, match=REFUSED):
        untrained(tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_it_cannot_be_resumed(run):
    with pytest.raises(twinsight.UserError, match=REFUSED):
        twinsight.pretrain(resume=run)


def test_a_dry_run_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        main(["pretrain", "shapes", "--data.count", "8", "--backbone", "test_resnet", "--method", "none", "--dry-run"])
    printed = capsys.readouterr()
    assert "none of them trained" in printed.out
    assert "--method none: trains nothing" in printed.err
    assert not list(tmp_path.iterdir())
