"""Where output goes: results to stdout, everything else to stderr; only the first of several processes prints."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from html import escape
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from twinsight.errors import Remark

T = TypeVar("T")

RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
"""This process among those of one training, as Lightning and torchrun number them."""

console = Console(quiet=RANK > 0)
"""Results."""

NOTEBOOK = console.is_jupyter

# In a notebook: to stdout, since stderr looks like a failure there, and as plain lines, not boxes. Notebook streams
# claim to be a terminal.
notes = Console(stderr=not NOTEBOOK, quiet=RANK > 0, force_jupyter=False, force_terminal=False if NOTEBOOK else None)
"""Progress and remarks."""

SILENCE = 5.0
"""Maximum seconds between progress lines where there is no bar."""

_words: ContextVar[Callable[[str], str]] = ContextVar("words", default=str)


def tell(message: str) -> None:
    """A plain line for the user, on stderr."""
    notes.print(_words.get()(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def spoken(words: Callable[[str], str]) -> Generator[None]:
    """Inside, `words` rewrites what `tell` prints, so that options have the caller's names."""
    token = _words.set(words)
    try:
        yield
    finally:
        _words.reset(token)


@contextmanager
def without_tables() -> Generator[None]:
    """Inside, no result is printed: a Python caller gets it returned."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def loading(what: str) -> None:
    """Say that libraries are being loaded, unless they already are."""
    if "torch" not in sys.modules:
        tell(f"loading {what}")


def remarked(show: Callable[..., None]) -> Callable[..., None]:
    """Show warnings as before, except remarks, which are printed as plain lines."""

    def shown(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
        if issubclass(category, Remark):
            tell(str(message))
        else:
            show(message, category, *where, **more)

    return shown


class Line:
    """A line in a notebook that is updated as work proceeds and removed at the end."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text, "text/html": f"<pre style='margin:0'>{escape(text)}</pre>"}
        if self.handle is None:
            self.handle = display(content, raw=True, display_id=True)
        else:
            self.handle.update(content, raw=True)

    def end(self) -> None:
        if self.handle is not None:
            self.handle.update({"text/plain": "", "text/html": ""}, raw=True)
            self.handle = None


def tracked(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The items, with progress: a bar in a terminal, one updated line in a notebook, a line every few seconds in a
    pipe.
    """
    if notes.is_terminal:
        return track(items, what, total, console=notes, transient=True)
    return counted(items, what, total)


def counted(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    line, began = Line(), time.monotonic()
    shown = began if NOTEBOOK else began + SILENCE / 2  # quick work needs no line
    try:
        for done, item in enumerate(items):
            now = time.monotonic()
            if RANK == 0 and now - shown > (0.5 if NOTEBOOK else SILENCE):
                shown = now
                left = timedelta(seconds=round((now - began) * (total - done) / max(1, done)))
                text = f"{what} {done}/{total}  {left} left"
                if NOTEBOOK:
                    line.show(text)
                else:
                    tell(text)
            yield item
    finally:
        line.end()
