"""Work that goes on in threads beside the caller's: reading ahead, writing behind."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def threads() -> Generator[ThreadPoolExecutor]:
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
