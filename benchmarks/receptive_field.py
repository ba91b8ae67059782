"""Effective receptive fields of eight layers of DeepLabV3, beside the plain way: hooks, and backward a layer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_resnet50

from benchmarks.memory import peak
from benchmarks.table import Row
from benchmarks.timing import beside
from twinsight.probes.network.receptive_field import ReceptiveField

LAYERS = ["backbone.conv1", "backbone.layer1.2", "backbone.layer2.0", "backbone.layer2.3", "backbone.layer3.2",
          "backbone.layer3.5", "backbone.layer4.2", "classifier.4"]  # fmt: skip


def run(quick: bool) -> list[Row]:
    side, count, rounds = (64, 2, 1) if quick else (224, 4, 3)
    ours, plain = probed(side, count), hooked(side, count)
    mine, theirs = ours(), plain()
    for name in LAYERS:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-5 * theirs[name].max())
    claim = f"receptive fields of {len(LAYERS)} layers of DeepLabV3-ResNet-50, {count} images at {side}"
    peer = "hooks and backward"
    rows = beside(claim, ours, {peer: plain}, 1.2, rounds, warm=False)
    if quick:
        return rows
    sizes = (count, 4 * count)
    few, many = (peak(probed, side, size) for size in sizes)
    plain_few, plain_many = (peak(hooked, side, size) for size in sizes)
    rows.append(Row(f"{claim}: peak of memory", few, plain_few, "MB", plain_few / few, None, peer))
    rows.append(Row(f"{claim}: peak of {4 * count}", many, plain_many, "MB", plain_many / many, None, peer))
    rows.append(Row(f"{claim}: peak of {4 * count} beside {count}", many, few, "MB", few / many, None, "itself", 0.8))
    return rows


def ready(side: int, count: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=False).eval()
    return Out(model), torch.rand(count, 3, side, side)


class Out(nn.Module):
    """The logits out of torchvision's dictionary; its layers keep their names."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.backbone, self.classifier, self.whole = model.backbone, model.classifier, [model]

    def forward(self, images: Tensor) -> Tensor:
        return self.whole[0](images)["out"]


def probed(side: int, count: int) -> Callable[[], Any]:
    model, images = ready(side, count)
    probe = ReceptiveField(LAYERS)
    return lambda: probe(model, list(images)).arrays


def hooked(side: int, count: int) -> Callable[[], dict[str, np.ndarray]]:
    return partial(plain, *ready(side, count), LAYERS)


def plain(model: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """As one writes it down: all images at once, gradients to everything."""
    outputs: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    hooks = [modules[name].register_forward_hook(partial(keep, outputs, name)) for name in layers]
    pixels = images.clone().requires_grad_()
    model(pixels)
    for hook in hooks:
        hook.remove()
    fields = {}
    for name in layers:
        pixels.grad = None
        model.zero_grad()
        height, width = outputs[name].shape[2:]
        outputs[name][:, :, height // 2, width // 2].sum().backward(retain_graph=True)
        assert pixels.grad is not None
        fields[name] = (pixels.grad.abs().sum((0, 1)) / len(images)).numpy()
    return fields


def keep(outputs: dict[str, Tensor], name: str, module: nn.Module, args: object, output: Tensor) -> None:
    outputs[name] = output.clone()  # what follows may change it in place
