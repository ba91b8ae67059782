"""Ours and a peer in turn, so that what else the machine does hits both alike."""

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

from benchmarks.table import Row

Clock = Callable[[], float]


def busy() -> float:
    """Seconds of processor time that this process has taken; on a GPU, seconds until it has done what it was given."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(call: Callable[[], Any], clock: Clock = busy) -> float:
    start = clock()
    call()
    return clock() - start


def beside(
    claim: str, ours: Callable[[], Any], peers: Mapping[str, Callable[[], Any] | None], target: float | None,
    rounds: int, clock: Clock = busy, unit: str = "ms", work: float | None = None,
    warm: bool = True,
) -> list[Row]:  # fmt: skip
    """One row a peer, all of them in turn, `rounds` times, after once to warm up where there are several.

    peers: by name; None for one that is not installed. work: what one call does; the numbers are then work a second
    ("images/s") instead of milliseconds. warm: False where the caller has called all of them already.
    """
    calls = {"": ours} | {name: call for name, call in peers.items() if call is not None}
    if warm and rounds > 1:
        for call in calls.values():
            call()
    taken = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call, clock))

    def shown(name: str) -> float:
        best = max(min(taken[name]), 1e-9)
        return best * 1e3 if work is None else work / best

    rows = []
    for name in peers:
        if name not in taken:
            rows.append(Row(claim, shown(""), None, unit, None, None, f"{name}: not installed", target))
            continue
        ratios = [theirs / max(mine, 1e-9) for mine, theirs in zip(taken[""], taken[name])]
        spread = (min(ratios), max(ratios))
        rows.append(Row(claim, shown(""), shown(name), unit, median(ratios), spread, name, target))
    return rows


def installed(package: str) -> bool:
    return find_spec(package) is not None
