"""Which numbers an option takes, written at its type: `epochs: Count`. Checked before anything is built."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from twinsight.errors import UserError
from twinsight.options.marks import FLAT, RISING, notes


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, both included unless `above` or `below` leaves them out."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, number: float) -> bool:
        low = number > self.least if self.above else number >= self.least
        high = number < self.most if self.below else number <= self.most
        return low and high

    @property
    def open(self) -> bool:
        """Whether the upper bound is there only to keep typing errors out, and need not be named."""
        return self.most >= 10**6

    def demand(self, number: float) -> str:
        """What a number outside must be: the bounds that matter to it."""
        low = f"{'above' if self.above else 'at least'} {self.least:.12g}"
        high = f"{'below' if self.below else 'at most'} {self.most:.12g}"
        return f"{low} and {high}" if not self.open else high if number >= self.most else low

    @property
    def short(self) -> str:
        """For a table."""
        if self == Range(-1000, 1000):  # a place counted from either end
            return ""
        if self.open:
            return f"above {self.least:g}" if self.above else f"{self.least:g} or more"
        if self.above or self.below:
            low, high = "above" if self.above else "at least", "below" if self.below else "at most"
            return f"{low} {self.least:g}, {high} {self.most:g}"
        return f"{self.least:.12g} to {self.most:.12g}"


Count = Annotated[int, Range(1, 10**9)]
Whole = Annotated[int, Range(0, 10**9)]
Images = Annotated[int, Range(1, 10**7)]
Pixels = Annotated[int, Range(1, 2**15)]
Width = Annotated[int, Range(1, 2**20)]
Index = Annotated[int, Range(-1000, 1000)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
NotNegative = Annotated[float, Range(0, 10**6)]
Positive = Annotated[float, Range(0, 10**6, above=True)]
Share = Annotated[float, Range(0, 1)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]
Fraction = Annotated[float, Range(0, 1, above=True, below=True)]
BelowOne = Annotated[float, Range(0, 1, below=True)]
Factor = Annotated[float, Range(1 / 16, 16)]
"""Factor by which an image's side is scaled."""


def check_ranges(options: Any, prefix: str = "--") -> None:
    """Raises UserError for the first option out of its range."""
    for field in fields(options):
        name, value = f"{prefix}{field.name.replace('_', '-')}", getattr(options, field.name)
        if is_dataclass(value):
            check_ranges(value, prefix if FLAT in notes(field.type) else f"{name}.")
            continue
        values: tuple[Any, ...] = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
        given = f"{name} {' '.join(map(str, values))}"
        if problem := next(problems(value, field.type), None):
            raise UserError(f"{given}: must be {problem}")
        if RISING in notes(field.type) and list(values) != sorted(values):
            raise UserError(f"{given}: the smaller comes first")
    if hasattr(options, "check"):
        options.check()


def ranges_of(kind: Any) -> Iterator[Range]:
    """The ranges of a type and of what is within it."""
    yield from (note for note in notes(kind) if isinstance(note, Range))
    for inner in get_args(kind)[: 1 if notes(kind) else None]:
        yield from ranges_of(inner)


def problems(value: Any, kind: Any) -> Iterator[str]:
    """What the value's numbers must be, where they are not."""
    inner = get_args(kind)
    if get_origin(kind) is Annotated:
        for note in notes(kind):
            if isinstance(note, Range) and isinstance(value, int | float) and value not in note:
                yield note.demand(value)
        yield from problems(value, inner[0])
    elif get_origin(kind) in (Union, UnionType):
        for option in inner:
            yield from problems(value, option)
    elif get_origin(kind) is tuple and isinstance(value, tuple):
        for i, number in enumerate(cast(tuple[Any, ...], value)):
            yield from problems(number, inner[0] if inner[-1] is ... else inner[i])
