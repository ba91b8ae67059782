"""timm's weights without a network: what is cached is used, and what is not is refused at once, with the real cause."""

from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.light_timm import timm
from twinsight.errors import UserError

NAME = "test_resnet.r160_in1k"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://localhost:9")  # discard: nothing answers there
    return tmp_path


def test_neither_cached_nor_within_reach(offline, monkeypatch):
    with pytest.raises(UserError, match=rf"{NAME}: its weights are not in {offline}, and http://localhost:9 cannot be"):
        Backbone(NAME, pretrained=True)
    assert not constants.HF_HUB_OFFLINE
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        Backbone(NAME, pretrained=True)


def test_cached(offline):
    network: Any = timm.create_model(NAME)
    with torch.no_grad():
        network.conv1[0].weight.fill_(0.5)
    folder = offline / f"models--timm--{NAME}"
    snapshot = folder / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    save_file(network.state_dict(), snapshot / "model.safetensors")
    backbone = Backbone(NAME, pretrained=True)
    assert (backbone.network.conv1[0].weight == 0.5).all()
