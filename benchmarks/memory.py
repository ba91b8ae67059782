"""The peak of memory of one call, beyond what its process held before."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch


def peak(make: Callable[..., Callable[[], Any]], *arguments: object, apart: bool = True) -> float:
    """Megabytes that `make(*arguments)()` takes at its peak; Linux, or a GPU. What `make` makes ready is not counted.

    apart: in a process of its own, whose allocator holds nothing back from earlier calls; `make` is then a function of
    a module, for that process to import.
    """
    if not apart:
        return measure(make, arguments)
    context = get_context("spawn")  # a fork would share the threads' locks and the allocator's free lists
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(sender, torch.get_num_threads(), make, arguments))
    with returning():
        process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


@contextmanager
def returning() -> Iterator[None]:
    """Processes started inside give each freed tensor back to the system at once; glibc else keeps some, by chance."""
    name = "MALLOC_MMAP_THRESHOLD_"
    before = os.environ.get(name)
    os.environ[name] = "65536"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def child(sender: Connection, threads: int, make: Callable[..., Callable[[], Any]], arguments: tuple) -> None:
    torch.set_num_threads(threads)
    sender.send(measure(make, arguments))


def measure(make: Callable[..., Callable[[], Any]], arguments: tuple) -> float:
    call = make(*arguments)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    before = resident("VmRSS")
    call()
    return max(resident("VmHWM") - before, 1) / 1024


def resident(name: str) -> int:
    """Kilobytes of this process: VmRSS now, VmHWM at the peak."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])
