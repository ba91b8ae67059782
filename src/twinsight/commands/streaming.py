"""Work that goes on in threads beside the caller's: reading ahead, batches of one size, writing behind."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def threads() -> Iterator[ThreadPoolExecutor]:
    """A few threads. Once anything is raised, Ctrl-C included, they end what they are at and begin nothing more."""
    pool = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(pool: ThreadPoolExecutor, call: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    """`call` of each item, in order; at most `limit` of them are begun or done before they are asked for.

    What a call raises is raised when its turn comes.
    """
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(call, item))
        if len(begun) > limit:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def batches(items: Iterable[T], kind: Callable[[T], Any], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Lists of at most `size(item)` items of one kind; at most `limit` batches' worth of items wait for others alike.

    Each list keeps the items' order; among lists, the one that is full first comes first, else the one begun first.
    """
    waiting: dict[Any, list[T]] = {}
    share = 0.0  # of full batches, over all that wait
    for item in items:
        alike = waiting.setdefault(kind(item), [])
        alike.append(item)
        share += 1 / size(item)
        full = len(alike) == size(item)
        if full or share >= limit:
            done = waiting.pop(kind(item) if full else next(iter(waiting)))
            share -= sum(1 / size(item) for item in done)
            yield done
    yield from waiting.values()
