"""Where output goes: results to stdout, everything else to stderr; of several processes only the first speaks."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from twinsight.errors import Remark

T = TypeVar("T")

RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
"""This process among those of one training, as Lightning and torchrun number them."""

console = Console(quiet=RANK > 0)
"""Results."""

notes = Console(stderr=True, quiet=RANK > 0)
"""Progress and remarks."""


_words: ContextVar[Callable[[str], str]] = ContextVar("words", default=str)


def told(message: str) -> None:
    """A plain line for the user, on stderr."""
    notes.print(_words.get()(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def spoken(words: Callable[[str], str]) -> Iterator[None]:
    """While this lasts, what `told` says goes through `words` first: to call options what the caller calls them."""
    token = _words.set(words)
    try:
        yield
    finally:
        _words.reset(token)


def remarked(show: Callable[..., None]) -> Callable[..., None]:
    """Warnings shown as before, but for remarks, which are printed as plain lines."""

    def shown(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
        if issubclass(category, Remark):
            told(str(message))
        else:
            show(message, category, *where, **more)

    return shown


def tracked(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The items, beside a bar on stderr while they are worked through; none where stderr is no terminal."""
    return track(items, what, total, console=notes, transient=True, disable=not notes.is_terminal)
