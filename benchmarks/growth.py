"""How cost grows with the size of a problem: exponents, fitted on logarithms, beside the most that they should be."""

import math
import os
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from benchmarks.memory import peak
from benchmarks.photographs import photographs
from benchmarks.table import Row
from benchmarks.timing import seconds
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.data.folder import Folder
from twinsight.data.loader import Views, train_loader
from twinsight.data.sampler import EpochSampler
from twinsight.data.samples import Dataset, Entry
from twinsight.data.views import two_views
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.segmentation.metrics import ConfusionMatrix
from twinsight.segmentation.model import SegmentationModel

NOISE = 0.15
"""By how much a fitted exponent may pass its bound."""

Make = Callable[[int], Callable[[], Any]]


def run(quick: bool) -> list[Row]:
    def sizes(*values: int) -> tuple[int, ...]:
        return values[:2] if quick else values

    rows = [
        *grown("images of a data set", sizes(1000, 10_000, 100_000, 1_000_000), listing, traced, quick),
        *grown("classes, their metrics", sizes(21, 43, 86, 171), counting, extra(counting), quick),
        *grown("pixels, segmenting", sizes(224**2, 352**2, 576**2, 1024**2), segmenting, extra(segmenting), quick),
        *grown("images a batch, training", sizes(4, 8, 16, 32), training, extra(training), quick),
        *grown("tokens, class row of all blocks", sizes(256, 1024, 4096), looking, extra(looking), quick, 2),
    ]
    if not quick:
        rows += [*working(), *parallel()]
    return rows


def grown(
    what: str, sizes: Sequence[int], make: Make, memory: Callable[[int], float], quick: bool, most: float = 1
) -> list[Row]:
    """Time, whose exponent may be at most `most`, and memory, which may grow linearly."""
    rounds = 1 if quick else 3
    calls = [make(size) for size in sizes]
    for call in calls:
        call()
    taken = [min(seconds(call) for _ in range(rounds)) for call in calls]
    held = [] if quick else [memory(size) for size in sizes]
    span = f"{sizes[0]} to {sizes[-1]} {what}"
    rows = [row(f"{span}: time", exponent(sizes, taken), most)]
    return rows + ([row(f"{span}: memory", exponent(sizes, held), 1)] if held else [])


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The slope of log cost over log size."""
    logs = [math.log(max(cost, 1e-6)) for cost in costs]
    return float(np.polyfit(np.log(sizes), logs, 1)[0])


def row(claim: str, found: float, most: float) -> Row:
    name = "linear" if most == 1 else "quadratic"
    return Row(claim, found, most, "exponent", most / max(found, 0.01), None, name, most / (most + NOISE))


def extra(make: Make) -> Callable[[int], float]:
    """Megabytes at the peak of a call."""
    return partial(peak, make)


def listing(count: int) -> Callable[[], object]:
    """What a data set and its sampler do before an epoch, and the order of the epoch."""

    def call() -> object:
        dataset = Dataset([Entry(f"{i:07d}.jpg", Path(f"{i:07d}.jpg")) for i in range(count)])
        return dataset, sum(1 for _ in EpochSampler(len(dataset), shuffle=True))

    return call


def traced(count: int) -> float:
    tracemalloc.start()
    try:
        listing(count)()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def counting(classes: int) -> Callable[[], object]:
    logits = torch.randn(2, classes, 256, 256)
    target = torch.randint(classes, (2, 256, 256))
    return lambda: ConfusionMatrix(classes).update(logits, target)


def segmenting(pixels: int) -> Callable[[], Tensor]:
    from twinsight.heads.linear import Linear

    side = math.isqrt(pixels)
    backbone = Backbone("resnet18")
    model = SegmentationModel(backbone, Linear(backbone.dims, backbone.strides, 8)).eval()
    image = torch.rand(1, 3, side, side)
    return torch.inference_mode()(lambda: model(image))


def training(batch: int) -> Callable[[], None]:
    method = BarlowTwins(Backbone("test_resnet"), two_views(), (256, 256))
    views = list(torch.rand(2, batch, 3, 96, 96))
    return lambda: method(views, 0.5)["loss"].backward()


def looking(tokens: int) -> Callable[[], object]:
    side = 8 * math.isqrt(tokens)
    backbone = Backbone("vit_small_patch8_224", depth=2, embed_dim=64, num_heads=2).eval()
    image = torch.rand(1, 3, side, side)
    return lambda: attention_maps(backbone, image)


def working() -> list[Row]:
    """Images a second with more workers: by the clock, so cores that others use do not count for us."""
    counts, taken = (1, 2, 4, 8, 16), []
    with photographs(128) as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*worker processes in total")
        for workers in counts:
            loader = train_loader(Views(Folder(folder), two_views()), 8, workers)
            list(loader)  # starts the workers
            taken.append(min(seconds(lambda loader=loader: list(loader), time.perf_counter) for _ in range(3)))
    return [scaled("1 to 16 workers: images a second", counts, taken)]


def parallel() -> list[Row]:
    """Images a second with more processes, a thread each, that train on as many images each; by the clock."""
    counts, taken = (1, 2), []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            meeting = Path(folder, "meeting")
            context = torch.multiprocessing.start_processes(
                steps, (count, f"file://{meeting}", Path(folder)), count, join=True, start_method="spawn"
            )
            assert context is None
            taken.append(max(float(file.read_text()) for file in Path(folder).glob("rank*")) / count)
    return [scaled("1 to 2 processes: images a second", counts, taken)]


def steps(rank: int, world: int, meeting: str, folder: Path) -> None:
    """The best of some steps, in seconds."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", meeting, rank=rank, world_size=world)
    torch.manual_seed(0)
    method = nn.parallel.DistributedDataParallel(BarlowTwins(Backbone("test_resnet"), two_views(), (256, 256)))
    views = list(torch.rand(2, 32, 3, 96, 96))

    def step() -> None:
        method(views, 0.5)["loss"].backward()
        dist.barrier()

    step()
    (folder / f"rank{rank}").write_text(str(min(seconds(step, time.perf_counter) for _ in range(5))))
    dist.destroy_process_group()


def scaled(claim: str, counts: Sequence[int], taken: Sequence[float]) -> Row:
    found = exponent(counts, [1 / each for each in taken])
    name = f"linear, of {os.cpu_count()} cores"
    return Row(claim, found, 1, "exponent", found, None, name)
