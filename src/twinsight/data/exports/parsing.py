"""Annotations that anyone may have written: what is wrong with them is said in a sentence that names the file."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

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
    """What was left out, in words: {"polylines": 3} -> "left out: 3 polylines"; "" for nothing."""
    words = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
    return f"left out: {words}" if words else ""
