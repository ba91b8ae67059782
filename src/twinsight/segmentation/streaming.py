"""Background threads for reading ahead and writing behind."""

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
    """A few threads. After any exception, including Ctrl-C, they finish their current work and start no more."""
    pool = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(pool: ThreadPoolExecutor, call: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    """`call(item)` for each item, in order; at most `limit` are started before they are requested.

    An exception of a call is raised when its result is requested.
    """
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(call, item))
        if len(begun) > limit:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
