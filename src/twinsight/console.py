"""Where output goes: results to stdout, everything else to stderr."""

from rich.console import Console

console = Console()
"""Results."""

notes = Console(stderr=True)
"""Progress and remarks."""


def told(message: str) -> None:
    """A plain line for the user, on stderr."""
    notes.print(message, markup=False, highlight=False, soft_wrap=True)
