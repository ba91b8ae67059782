"""Where output goes: results to stdout, everything else to stderr; of several processes only the first speaks."""

import os

from rich.console import Console

RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
"""This process among those of one training, as Lightning and torchrun number them."""

console = Console(quiet=RANK > 0)
"""Results."""

notes = Console(stderr=True, quiet=RANK > 0)
"""Progress and remarks."""


def told(message: str) -> None:
    """A plain line for the user, on stderr."""
    notes.print(message, markup=False, highlight=False, soft_wrap=True)
