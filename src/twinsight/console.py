"""Where output goes: results to stdout, everything else to stderr; of several processes only the first speaks."""

import os
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")

RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
"""This process among those of one training, as Lightning and torchrun number them."""

console = Console(quiet=RANK > 0)
"""Results."""

notes = Console(stderr=True, quiet=RANK > 0)
"""Progress and remarks."""


def told(message: str) -> None:
    """A plain line for the user, on stderr."""
    notes.print(message, markup=False, highlight=False, soft_wrap=True)


def tracked(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The items, beside a bar on stderr while they are worked through; none where stderr is no terminal."""
    return track(items, what, total, console=notes, transient=True, disable=not notes.is_terminal)
