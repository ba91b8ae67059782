"""A dry run counts the updates that the training makes."""

import re

import pytest
import torch
from segmenting_runs import segment_options

from twinsight.commands import pretrain, segment
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions


def pretrain_options(run, images: int, **changes) -> Pretrain:
    return Pretrain(
        run=run, epochs=2, batch_size=2, workers=0, precision="fp32", probe="none", warmup_epochs=0,
        method=BarlowTwinsOptions(projector=(4, 4), views=TwoViewsOptions(size=32)),
        backbone=TimmOptions(name="test_resnet"), data=ShapesOptions(count=images, size=32), **changes,
    )  # fmt: skip


def planned(capfd) -> int:
    found = re.search(r"^steps +(\d+)", capfd.readouterr().out, re.MULTILINE)
    assert found
    return int(found[1])


def trained(run) -> int:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]


@pytest.mark.parametrize(
    ("images", "changes", "updates"),
    [
        (2, {"accumulate": 2}, 2),
        (6, {"accumulate": 2}, 4),
        (8, {"accumulate": 2}, 4),
        (10, {"accumulate": 4}, 4),
        (10, {"accumulate": 2, "accumulate_exact": True}, 4),
    ],
    ids=str,
)
def test_pretrain(tmp_path, capfd, images, changes, updates):
    pretrain.run(pretrain_options(None, images, dry_run=True, **changes))
    assert planned(capfd) == updates
    pretrain.run(pretrain_options(tmp_path / "run", images, **changes))
    assert trained(tmp_path / "run") == updates


def test_segment(tmp_path, capfd):
    changes = {"epochs": 2, "batch_size": 2, "accumulate": 3}
    segment.run(segment_options(None, dry_run=True, **changes))
    assert planned(capfd) == 4
    segment.run(segment_options(tmp_path / "run", **changes))
    assert trained(tmp_path / "run") == 4


def test_of_several_processes_each_takes_its_share(capfd):
    pretrain.run(pretrain_options(None, 16, dry_run=True, devices=2, accelerator="cpu"))
    assert planned(capfd) == 8
