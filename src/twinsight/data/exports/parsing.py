"""Annotations that anyone may have written: what is wrong with them is said in a sentence that names the file."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinsight.data.wording import number
from twinsight.errors import UserError


@contextmanager
def parsing(file: Path) -> Generator[None]:
    """Whatever is missing, or of another type than the format says, becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise UserError(f"{file}: holds annotations that cannot be read ({reason}); export them anew") from error


def counted(left_out: Mapping[str, int]) -> str:
    """What was left out: {"shape of kind points": 3} -> "left out: 3 shapes of kind points"; "" for nothing."""
    parts = [(count, *what.partition(" ")) for what, count in left_out.items() if count]
    words = ", ".join(number(count, noun) + space + which for count, noun, space, which in parts)
    return f"left out: {words}" if words else ""


def same_size(stated: tuple[Any, Any], height: int, width: int) -> None:
    """Raises ValueError if annotations state another height and width, upright, than their image has."""
    size = tuple(map(int, stated))
    if size != (height, width):
        turned = ", perhaps as EXIF turns it" if size == (width, height) else ""
        raise ValueError(f"they are for {stated[1]} x {stated[0]} pixels, the image has {width} x {height}{turned}")


def refuse_unlisted(source: Path, used: Sequence[tuple[object, object]]) -> None:
    """Raises UserError if there are annotations of classes that `source` does not list, each with where one is."""
    if used:
        names = ", ".join(sorted({str(name) for name, _ in used}))
        raise UserError(
            f"{source}: does not list {names}, used by {number(len(used), 'annotation')}, such as in {used[0][1]}; "
            "add it to the list, or export again"
        )
