"""Trainings from Python."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_runs import SHAPES, TINY, VIEWS

import twinsight
from twinsight.training.progress import TrainingProgress

pytest_plugins = ("tiny_runs",)


def test_a_run_says_what_came_of_it(pretrained, segmented):
    assert pretrained.finished
    assert pretrained.scores == {}
    assert pretrained.command == "pretrain"
    assert len(pretrained.metrics) == 2
    assert pretrained.report.is_file()
    assert os.fspath(pretrained) == str(pretrained.folder)
    assert twinsight.Run(str(segmented.folder)) == segmented
    assert segmented.options["weights"] == str(pretrained.folder)
    best = max(row["val/mean_iou"] for row in segmented.metrics if "val/mean_iou" in row)
    assert segmented.scores["mean_iou"] == best
    assert "linear on test_resnet" in segmented._repr_html_()


def test_what_is_no_run_is_refused(folder):
    with pytest.raises(twinsight.UserError, match="is not a run directory"):
        twinsight.Run(folder)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "^epochs=0: must be at least 1"),
        ({"epohcs": 3}, "epohcs.*did you mean epochs"),
        ({"backbone": "resnt18"}, "^backbone='resnt18': timm has no such model"),
        ({"method": "sinclair"}, "^method='?sinclair'?: unknown"),
        ({"batch_size": 1}, "^batch_size=1: the loss compares"),
        ({"weights": "no/such"}, "weights='no/such': no such file or run directory"),
        ({"dry_run": True}, "^dry_run: is for the command line only"),
        ({"data": None}, "^data: none given"),
        ({"data": "no/such"}, "no/such"),
        ({"data": []}, "^data: list is not a data set"),
    ],
)
def test_bad_input_is_refused_in_python_s_words(folder, options, sentence):
    given = {"data": SHAPES, "method": VIEWS, "run": folder / "run"} | TINY | options
    with pytest.raises(twinsight.UserError, match=sentence):
        twinsight.pretrain(**given)
    assert not (folder / "run").exists()


def test_an_interrupted_training_says_how_to_go_on_and_does(folder, capsys):
    original = TrainingProgress.on_train_batch_end

    def interrupted(self, trainer, *args, **kwargs):
        original(self, trainer, *args, **kwargs)
        if trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    run = folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingProgress, "on_train_batch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            twinsight.pretrain(SHAPES, method=VIEWS, run=run, **TINY | {"epochs": 2})
    assert f"go on with: twinsight.pretrain(resume='{run}')" in capsys.readouterr().err
    resumed = twinsight.pretrain(resume=twinsight.Run(run))
    assert resumed.finished
    assert [row["step"] for row in resumed.metrics] == [0, 1, 2, 3]


def test_a_data_set_stands_for_its_options(folder):
    data = twinsight.Dataset.open("shapes", count=8, size=32)
    run = twinsight.pretrain(data, method=VIEWS, run=folder / "run", **TINY)
    assert run.options["data"]["count"] == 8
    with pytest.raises(twinsight.UserError, match="data: is the split val alone"):
        twinsight.segment(twinsight.Dataset.open("shapes", split="val"), run=folder / "other", **TINY)


@pytest.mark.slow
def test_several_processes_are_not_this_script_again(folder, capsys):
    options = TINY | {"batch_size": 2, "devices": 2, "accelerator": "cpu"}
    with pytest.raises(twinsight.UserError, match=r"^find_lr: the search runs in one process"):
        twinsight.pretrain(SHAPES, method=VIEWS, run=folder / "refused", find_lr=True, **options)
    run = twinsight.pretrain(SHAPES, method=VIEWS, run=folder / "run", **options)
    assert run.finished
    assert "pretrain: done" in capsys.readouterr().err
    assert Path(run.weights).stat().st_size > 0


def test_a_training_in_a_thread_of_its_own(folder):
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(twinsight.pretrain, SHAPES, method=VIEWS, run=folder / "run", **TINY).result()
    assert run.finished
