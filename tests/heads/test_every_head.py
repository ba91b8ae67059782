"""What holds for every decoder on every kind of backbone."""

from math import ceil

import pytest
import torch
import torch.nn.functional as F

from twinsight.backbones.backbone import Features
from twinsight.heads.deeplab import DeepLabV3
from twinsight.heads.fcn import Fcn
from twinsight.heads.fusion import FusionAffinity, FusionConcat, FusionGate
from twinsight.heads.linear import Linear
from twinsight.heads.segformer import SegFormer
from twinsight.heads.setr import SetrMla, SetrNaive, SetrPup
from twinsight.heads.unet import UNet
from twinsight.heads.upernet import UPerNet

HEADS = {
    "linear": (Linear, {}),
    "linear-multi": (Linear, {"levels": (-1, 0)}),
    "setr-naive": (SetrNaive, {"channels": 16}),
    "setr-pup": (SetrPup, {"channels": 16}),
    "setr-mla": (SetrMla, {"channels": 16}),
    "deeplabv3": (DeepLabV3, {"channels": 16, "dropout": 0.0}),
    "fcn": (Fcn, {"channels": 16, "dropout": 0.0}),
    "unet": (UNet, {"channels": (24, 16, 12, 8)}),
    "upernet": (UPerNet, {"channels": 16, "dropout": 0.0}),
    "segformer": (SegFormer, {"channels": 16, "dropout": 0.0}),
    "fusion-concat": (FusionConcat, {"channels": 16}),
    "fusion-gate": (FusionGate, {"channels": 16}),
    "fusion-affinity": (FusionAffinity, {"channels": 16}),
}
BACKBONES = {  # dims, strides
    "resnet": ((6, 8, 12, 16, 24), (2, 4, 8, 16, 32)),
    "resnet-dilated": ((6, 8, 12, 16, 24), (2, 4, 8, 8, 8)),
    "swin": ((8, 12, 16, 24), (4, 8, 16, 32)),
    "swin-small": ((6, 8, 12, 16), (1, 2, 4, 8)),
    "vit16": ((12,) * 12, (16,) * 12),
    "vit8": ((12,) * 6, (8,) * 6),
    "vit14": ((12,) * 3, (14,) * 3),
    "single": ((12,), (32,)),
}
CLASSES = 3


def features_of(head, dims, strides, batch=2, height=75, width=53):
    """Random maps, and attention of two heads; a pyramid's sizes are rounded up, as padding gives them."""
    maps = [torch.randn(batch, dims[k], ceil(height / strides[k]), ceil(width / strides[k])) for k in head.levels]
    h, w = maps[-1].shape[-2:]
    queries = [h * w] if getattr(head, "attention", ((), "auto"))[1] == "patches" else []
    attention = torch.randn(batch, 2, *queries, h * w).softmax(-1).unflatten(-1, (h, w))
    return Features(torch.randn(batch, dims[-1]), maps, (height, width), [attention])


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", HEADS)
def test_logits_and_gradients_on_odd_sizes(name, backbone):
    torch.manual_seed(0)
    build, options = HEADS[name]
    dims, strides = BACKBONES[backbone]
    head = build(dims, strides, CLASSES, **options)
    assert list(head.levels) == sorted(set(head.levels))  # the order in which a backbone hands out maps
    features = features_of(head, dims, strides)
    for m in features.maps:
        m.requires_grad_()
    logits = head(features)
    finest = max(tuple(m.shape[-2:]) for m in features.maps)
    assert logits.shape[:2] == (2, CLASSES)
    assert logits.shape[2] >= finest[0] or name == "unet"
    assert logits.shape[3] >= finest[1] or name == "unet"
    (logits * torch.randn_like(logits)).sum().backward()
    for parameter in [*head.parameters(), *features.maps]:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    for m in features.maps:
        assert m.grad.abs().sum() > 0


@pytest.mark.parametrize("backbone", ["swin-small", "vit8"])
@pytest.mark.parametrize("name", HEADS)
def test_learns_a_function_of_the_features(name, backbone):
    torch.manual_seed(0)
    build, options = HEADS[name]
    dims, strides = BACKBONES[backbone]
    head = build(dims, strides, CLASSES, **options)
    features = features_of(head, dims, strides, height=6 * strides[-1], width=4 * strides[-1])
    target = features.maps[-1][:, :CLASSES].argmax(1)
    head(features)  # makes the parameters that depend on how many heads of attention there are
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)

    def logits():
        return F.adaptive_avg_pool2d(head(features), target.shape[-2:])

    for _ in range(120):
        optimizer.zero_grad()
        F.cross_entropy(logits(), target).backward()
        optimizer.step()
    head.eval()
    assert (logits().argmax(1) == target).float().mean() > 0.95
