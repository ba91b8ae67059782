"""Settings of `twinsight segment` at "auto": the usual, unless weights, head or images call for others."""

from pathlib import Path

import pytest

from twinsight.options.backbones import TimmOptions
from twinsight.options.heads import EomtOptions
from twinsight.options.lora import LoraOptions
from twinsight.options.segment import FEW, Segment, Start

USUAL = {"freeze": 0, "lr": 1e-4, "head_lr": 1e-3, "layer_decay": 1.0}
DINOV3 = TimmOptions(name="vit_small_patch16_dinov3", pretrained=True)
CONVNEXT = TimmOptions(name="convnext_tiny.dinov3_lvd1689m", pretrained=True)
VIT = TimmOptions(name="vit_small_patch16_224", pretrained=True)
MANY, SOME = Start(FEW + 1, True, True), Start(FEW, True, True)
RANDOM = Start(FEW, False, True)
PYRAMID = Start(FEW + 1, True, False)


@pytest.mark.parametrize(
    ("options", "start", "others"),
    [
        (Segment(), RANDOM, {}),
        (Segment(backbone=DINOV3), RANDOM, {}),
        (Segment(backbone=DINOV3), SOME, {"freeze": "all"}),
        (Segment(backbone=DINOV3), MANY, {"layer_decay": 0.8}),
        (Segment(backbone=DINOV3, freeze=-2), SOME, {"freeze": -2, "layer_decay": 0.8}),
        (Segment(backbone=DINOV3, lr=3e-5), SOME, {"lr": 3e-5, "layer_decay": 0.8}),
        (Segment(backbone=DINOV3, head=EomtOptions()), SOME, {"head_lr": 1e-4, "layer_decay": 0.8}),
        (Segment(backbone=DINOV3, lora=LoraOptions(rank=4)), SOME, {"lr": 1e-3}),
        (Segment(backbone=DINOV3, freeze="all"), MANY, {"freeze": "all"}),
        (Segment(backbone=CONVNEXT), SOME._replace(transformer=False), {"freeze": "all"}),
        (Segment(backbone=CONVNEXT), PYRAMID, {}),
        (Segment(backbone=VIT), SOME, {"layer_decay": 0.8}),
        (Segment(backbone=VIT, layer_decay=0.5), SOME, {"layer_decay": 0.5}),
    ],
    ids=lambda each: "" if isinstance(each, Segment | Start) else str(each),
)
def test_what_suits(options, start, others):
    settled, told = options.settled(start)
    assert {name: getattr(settled, name) for name in USUAL} == USUAL | others
    given = {name for name in USUAL if getattr(options, name) != "auto"}
    assert told.keys() == {f"--{name.replace('_', '-')}" for name in others.keys() - given}
    assert settled.settled(start) == (settled, {})


def test_whose_weights(tmp_path):
    from twinsight.assemble.segmenting import start
    from twinsight.backbones.backbone import Backbone

    (tmp_path / "config.yaml").touch()
    vit, resnet = Backbone("test_vit"), Backbone("test_resnet")
    assert start(Segment(weights=tmp_path), 7, vit) == Start(7, False, True)
    assert start(Segment(weights=Path("dinov3.pth")), 7, vit) == Start(7, True, True)
    assert start(Segment(backbone=VIT), 7, resnet) == Start(7, True, False)
