"""What a step of each method takes beside one of Barlow Twins, each in a process of its own, set for 3000 images."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor

from benchmarks.memory import measure
from benchmarks.table import Row
from benchmarks.timing import seconds
from twinsight.backbones.backbone import Backbone
from twinsight.methods.distill import Distill
from twinsight.options.auto import Scale, settle
from twinsight.options.build import build
from twinsight.options.methods import METHODS
from twinsight.training.optim import Optimization

SIDE = 64
SMALL_VIT = {"image_size": SIDE, "patch_size": 8, "dim": 128, "depth": 4, "heads": 4, "mlp_dim": 512}
BACKBONES: Mapping[str, Mapping[str, Any]] = {"vit-pytorch": SMALL_VIT, "resnet18": {}}


def run(quick: bool) -> list[Row]:
    if quick:
        found = {name: cost(name, "test_vit", {}, 2, 1) for name in ("barlow-twins", "mae")}
        return rows("test_vit, 2 images", found)
    table = []
    for network, options in BACKBONES.items():
        found = {}
        for name in names(masks=network == "vit-pytorch"):
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                found[name] = fresh.submit(cost, name, network, options, 64, 10).result()
        table += rows(f"{network}, 64 images of {SIDE}", found)
    return table


def names(masks: bool) -> list[str]:
    """Methods that train; masks: also those that mask patches."""
    return [name for name, each in METHODS.items() if name != "none" and (masks or not getattr(each, "masks", False))]


def rows(what: str, found: Mapping[str, tuple[float, float]]) -> list[Row]:
    return [
        Row(f"{name}, {what}: {kind}", ours, peer, unit, peer / ours, None, "barlow-twins")
        for name, costs in found.items()
        for kind, unit, ours, peer in zip(("peak of memory", "a step"), ("MB", "ms"), costs, found["barlow-twins"])
    ]


def cost(name: str, network: str, options: Mapping[str, Any], batch: int, steps: int) -> tuple[float, float]:
    """The peak of memory, in MB, beyond that of the imported libraries; the time of the fastest step, in ms."""
    torch.set_num_threads(1)
    times: list[float] = []
    memory = measure(lambda: partial(train, name, network, options, batch, steps, times), ())
    return memory, min(times) * 1e3


def train(
    name: str, network: str, options: Mapping[str, Any], batch: int, steps: int, times: list[float]
) -> None:  # fmt: skip
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    method = make(name, network, options, batch).to(device)
    sizes = [view.size for view in method.views().views]
    extra = {"labels": torch.randint(10, (batch,), device=device)} if "classes" in METHODS[name].given else {}
    optimization = Optimization()
    optimizer = optimization.optimizer(optimization.groups(method))

    def step(views: list[Tensor], progress: float) -> None:
        method(views, progress, **extra)["loss"].backward()
        if hasattr(method, "after_backward"):
            method.after_backward(progress)
        optimizer.step()
        optimizer.zero_grad()
        if hasattr(method, "after_step"):
            method.after_step(progress)

    for i in range(steps):
        views = [torch.randint(256, (batch, 3, size, size), dtype=torch.uint8, device=device) for size in sizes]
        times.append(seconds(partial(step, views, i / steps)))


def make(name: str, network: str, options: Mapping[str, Any], batch: int) -> Any:
    """The method with the settings that "auto" takes, on an untrained network; a teacher is as large as its student."""
    chosen, _ = settle(METHODS[name](), Scale(images=3000, batch=batch, updates=2000, side=SIDE))
    backbone = Backbone(network, **options)
    if name == "distill":
        return Distill(backbone, Backbone(network, **options), build(chosen.views))
    return build(chosen, backbone, **({"classes": 10} if "classes" in chosen.given else {}))
