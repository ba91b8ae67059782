"""What a field says of itself beside its type and range: `runs: Annotated[tuple[Path, ...], POSITIONAL]`."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin


class Mark(Enum):
    POSITIONAL = "given without a flag, in the order of the fields"
    REPEATED = "a tuple whose flag is given once for each value"
    FLAT = "options whose flags have no prefix: --count, not --probe.count"
    CONTROL = "about one run rather than about what it computes: never saved, never in a recipe"
    RISING = "a pair whose smaller number comes first"
    FIRST = "among the options that --help shows; the others wait for --help-all"


POSITIONAL, REPEATED, FLAT, CONTROL, RISING, FIRST = Mark


@dataclass(frozen=True)
class Heading:
    """The heading of one option in the help, if it is not that of its class."""

    text: str


def notes(kind: Any) -> tuple[Any, ...]:
    """What a type is annotated with."""
    return kind.__metadata__ if get_origin(kind) is Annotated else ()


def bare(kind: Any) -> Any:
    """The type without what it is annotated with."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
