"""One Barlow Twins training step, beside lightly's own example and beside the machine's matrix products."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import matmul_limit, native_bf16
from benchmarks.table import Row
from benchmarks.timing import beside, installed
from twinsight.backbones.backbone import Backbone
from twinsight.data.views import two_views
from twinsight.methods.barlow_twins import BarlowTwins, barlow_twins_loss

LAMBDA = 0.0051


def run(quick: bool) -> list[Row]:
    if quick:
        return compare("test_resnet", 2, 32, 64, 1) + compare("test_vit", 2, 160, 64, 1)
    return compare("resnet50", 32, 224, 8192, 3) + compare("vit_small_patch16_224", 8, 224, 8192, 3)


def compare(name: str, batch: int, side: int, width: int, rounds: int) -> list[Row]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    views = list(torch.rand(2, batch, 3, side, side, device=device))
    low = native_bf16()
    ours = our_step(name, views, width, low)
    peers: dict[str, Callable[[], object] | None] = {"lightly's example": None}
    if installed("lightly"):
        check_loss()
        peers = {"lightly's example": lightly_step(name, views, width, False)}
        if low:
            peers["lightly's example, bf16"] = lightly_step(name, views, width, True)
    claim = f"Barlow Twins step, {name}, {batch} images of {side}"
    target = {"resnet50": 2.3, "vit_small_patch16_224": 3.0}.get(name) if low else None  # what bf16 is to bring
    rows = beside(claim, ours, peers, target, rounds)
    with FlopCounterMode(display=False) as counter:
        ours()
    work = counter.get_total_flops() / 1e9
    reached = work / (rows[0].ours / 1e3)
    for kind in (torch.float32, torch.bfloat16) if low else (torch.float32,):
        limit = matmul_limit(kind, 256 if rounds == 1 else 2048)
        short = str(kind).removeprefix("torch.")
        least = 0.6 if low and kind == torch.bfloat16 else None
        rows.append(Row(claim, reached, limit, "GFLOP/s", reached / limit, None, f"limit: {short} matmul", least))
    return rows


def our_step(name: str, views: list[Tensor], width: int, bf16: bool) -> Callable[[], object]:
    torch.manual_seed(0)
    method: Any = BarlowTwins(Backbone(name), two_views(), (width,) * 3, LAMBDA).to(views[0].device)
    method.to(memory_format=torch.channels_last)
    given = [view.contiguous(memory_format=torch.channels_last) for view in views]
    optimizer = torch.optim.SGD(method.parameters(), lr=0.06, fused=True)
    return step(lambda: method(given, 0.5)["loss"], optimizer, views[0].device.type, bf16)


def lightly_step(name: str, views: list[Tensor], width: int, bf16: bool) -> Callable[[], object]:
    """As examples/pytorch/barlowtwins.py, its projection head as wide as ours."""
    from lightly.loss import BarlowTwinsLoss
    from lightly.models.modules import BarlowTwinsProjectionHead

    torch.manual_seed(0)
    if name == "resnet50":
        backbone = nn.Sequential(*list(torchvision.models.resnet50().children())[:-1], nn.Flatten())
        dim = 2048
    else:
        backbone = timm.create_model(name, num_classes=0)
        dim = backbone.num_features
    model = nn.Sequential(backbone, BarlowTwinsProjectionHead(dim, width, width)).to(views[0].device)
    criterion = BarlowTwinsLoss(lambda_param=LAMBDA)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    return step(lambda: criterion(model(views[0]), model(views[1])), optimizer, views[0].device.type, bf16)


def step(loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, device: str, bf16: bool) -> Callable[[], object]:
    def once() -> None:
        with torch.autocast(device, torch.bfloat16) if bf16 else nullcontext():
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return once


def check_loss() -> None:
    """Both are the paper's."""
    from lightly.loss import BarlowTwinsLoss

    z1, z2 = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))
    invariance, redundancy = barlow_twins_loss(z1, z2)
    theirs = BarlowTwinsLoss(lambda_param=LAMBDA)(z1, z2)
    torch.testing.assert_close(invariance + LAMBDA * redundancy, theirs, rtol=1e-3, atol=1e-4)
