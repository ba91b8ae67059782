"""What a benchmark found, and the table of it."""

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One claim beside one peer, or beside a limit of the machine.

    ours, peer: in `unit`, the best of several rounds; peer is None where it is not installed.
    ratio: how many times better ours is, the median over rounds of the two in turn; beside a limit, the share reached.
    spread: the lowest and the highest of those ratios. target: the ratio to be reached, if any.
    """

    claim: str
    ours: float
    peer: float | None
    unit: str
    ratio: float | None
    spread: tuple[float, float] | None
    peer_name: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        if self.target is None or self.ratio is None:
            return ""
        return "met" if self.ratio >= self.target else "missed"


HEADER = ("claim", "ours", "beside", "unit", "peer", "ratio", "spread", "target", "")


def markdown(rows: Iterable[Row]) -> str:
    """A table, one line a row."""
    lines = [HEADER, ["---"] * len(HEADER)]
    for row in rows:
        spread = "" if row.spread is None else f"{number(row.spread[0])} to {number(row.spread[1])}"
        numbers = [number(value) for value in (row.ours, row.peer, row.ratio, row.target)]
        lines.append(
            [row.claim, numbers[0], numbers[1], row.unit, row.peer_name, numbers[2], spread, numbers[3], row.verdict]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float | None) -> str:
    """Three digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
