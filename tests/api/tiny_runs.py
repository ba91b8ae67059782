"""Trainings of seconds, made once for all tests that name this module in `pytest_plugins`.

A conftest.py here would take the name of the one in tests/commands, which is imported from.
"""

from pathlib import Path

import pytest

import twinsight

SHAPES = {"name": "shapes", "count": 8, "val_count": 4, "size": 32}
TINY = {"backbone": "test_resnet", "epochs": 1, "batch_size": 4, "workers": 0, "probe": "none", "log_every": 1}
VIEWS = {"name": "barlow-twins", "projector": [16, 16], "views": {"size": 32}}


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory) -> twinsight.Run:
    return twinsight.pretrain(SHAPES, method=VIEWS, run=tmp_path_factory.mktemp("runs") / "pretrained", **TINY)


@pytest.fixture(scope="session")
def segmented(pretrained) -> twinsight.Run:
    options = TINY | {"epochs": 2, "lr": 1e-2, "head_lr": 1e-1, "warmup_epochs": 0}
    folder = pretrained.folder.with_name("segmented")
    return twinsight.segment(SHAPES, weights=pretrained, augment={"size": 32}, run=folder, **options)


@pytest.fixture(scope="session")
def segmenter(segmented) -> twinsight.Model:
    return twinsight.load(segmented, device="cpu")


@pytest.fixture(scope="session")
def vit() -> twinsight.Model:
    return twinsight.load("random:test_vit", device="cpu")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path
