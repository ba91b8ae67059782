"""Loggers of a run, offline."""

import pytest
import yaml
from begun import begun

from twinsight.options.commands import Pretrain
from twinsight.training.loggers import loggers

wandb = pytest.importorskip("wandb")


@pytest.fixture
def run(tmp_path, monkeypatch):
    wandb.finish()  # a run that another test has left open would be taken for this one
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    return begun(tmp_path / "run", Pretrain(lr=0.25), "pretrain")


def began(run):
    experiment = loggers(run, ("wandb",))[1].experiment
    experiment.finish()
    return experiment


def test_a_resumed_run_goes_on_in_the_same_run_of_wandb(run, tmp_path):
    first, second = began(run), began(run)
    assert first.id == second.id
    assert second.settings.resume == "allow"
    other = begun(tmp_path / "other", Pretrain(), "pretrain")
    assert began(other).id != first.id


def test_every_option_is_a_hyperparameter(run):
    config = run.folder / "config.yaml"
    saved = yaml.safe_load(config.read_text())
    assert dict(began(run).config) == saved
    assert saved["lr"] == 0.25
    config.write_text(config.read_text().replace("epochs: auto", "epochs: 200"))
    assert began(run).config["epochs"] == 200


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_the_users_mode_comes_before_any_login(run, monkeypatch, mode):
    def login(**_):
        raise AssertionError("touched wandb.login")

    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setattr(wandb, "login", login)
    assert began(run).settings.mode == mode
