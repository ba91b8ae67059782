"""Training from JPEG files beside the same training on batches that lie on the device already, by the clock."""

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch

from benchmarks.machine import native_bf16
from benchmarks.photographs import photographs
from benchmarks.table import Row
from benchmarks.timing import beside
from twinsight.backbones.backbone import Backbone
from twinsight.data.batched_color import recolor_views
from twinsight.data.folder import Folder
from twinsight.data.loader import ViewBatch, Views, train_loader
from twinsight.data.views import two_views
from twinsight.data.workers import choose_workers
from twinsight.methods.barlow_twins import BarlowTwins


def run(quick: bool) -> list[Row]:
    if quick:
        return compare("test_resnet", 4, 2, 32, 1)
    gpu = torch.cuda.is_available()
    return compare("vit_base_patch16_224", 4096, 256, 224, 3) if gpu else compare("resnet18", 32, 8, 224, 3)


def compare(name: str, count: int, batch: int, side: int, rounds: int) -> list[Row]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    views, workers = two_views(size=side), max(1, choose_workers())
    with photographs(count) as folder:
        loader = train_loader(Views(Folder(folder), views, color=device.type == "cpu"), batch, workers)
        update = training(name, device)

        def from_files() -> None:
            for images in loader:
                update(ready(images, device))

        held = ready(next(iter(loader)), device)
        claim = f"training {name}, batches of {batch} at {side}, {workers} workers: from JPEG files"
        peers = {"limit: one batch again and again": lambda: each(update, [held] * len(loader))}
        least = 0.95 if device.type == "cuda" else None
        times = {"rounds": rounds, "clock": wall, "unit": "images/s", "work": len(loader) * batch}
        return beside(claim, from_files, peers, least, **times)


def ready(batch: ViewBatch, device: torch.device) -> list[torch.Tensor]:
    """Views on the device, colored there if it is a GPU."""
    views = [view.to(device, non_blocking=True) for view in batch.views]
    return (
        views if batch.params is None else recolor_views(views, batch.params.images, two_views(size=views[0].shape[-1]))
    )


def each(call: Callable[[Any], object], items: Iterable[Any]) -> None:
    for item in items:
        call(item)


def training(name: str, device: torch.device) -> Callable[[list[torch.Tensor]], None]:
    torch.manual_seed(0)
    method: Any = BarlowTwins(Backbone(name), two_views(), (2048, 2048, 2048)).to(device)
    method.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(method.parameters(), 1e-4, fused=True)

    def update(views: list[torch.Tensor]) -> None:
        with torch.autocast(device.type, torch.bfloat16) if native_bf16() else nullcontext():
            loss = method(views, 0.5)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return update


def wall() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
