from pathlib import Path

import pytest
from tiny_runs import SHAPES, TINY, VIEWS

import twinsight


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
