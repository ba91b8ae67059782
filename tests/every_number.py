"""Every number that an option takes, for those who try them all."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, get_args, get_origin

from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.parse import parse
from twinsight.options.ranges import Range

CHOSEN = [(command, "") for command in COMMANDS] + [
    (command, f"--{kind} {name}")
    for command in ("pretrain", "segment")  # between them they have every choice
    for kind, table in choices_of(COMMANDS[command]).items()
    for name in table
]

NEEDED = {
    "evaluate": "run",
    "predict": "run images",
    "report": "run",
    "data detect": "folder",
    "data convert": "shapes folder",
    "data make": "shapes folder",
    "completion": "bash",
}


def chosen(command: str, choice: str) -> Any:
    return parse(COMMANDS[command], command, [*choice.split(), *NEEDED.get(command, "").split()])


def numbers(kind: Any, default: Any, ranged: Range | None = None) -> Iterator[tuple[Any, Range | None]]:
    """The numbers within a type, each as (value of that type with `...` for the number, its range)."""
    if kind in (int, float):
        yield ..., ranged
    elif get_origin(kind) is Annotated:
        notes = [note for note in kind.__metadata__ if isinstance(note, Range)]
        yield from numbers(get_args(kind)[0], default, notes[0] if notes else None)
    elif get_origin(kind) is tuple:
        inner = [kind for kind in get_args(kind) if kind is not ...]
        for i, each in enumerate(inner):
            for value, found in numbers(each, default):
                rest = default if isinstance(default, tuple) and len(default) == len(inner) else (1,) * len(inner)
                yield (*rest[:i], value, *rest[i + 1 :]), found
    else:
        for each in get_args(kind):
            yield from numbers(each, default)


Path = tuple[str, ...]


def changed(options: Any, path: Path, value: Any) -> Any:
    """The options with another value at ("method", "views", "size")."""
    first, *rest = path
    return replace(options, **{first: changed(getattr(options, first), tuple(rest), value) if rest else value})


def every_number(options: Any, prefix: str = "--", above: Path = ()) -> Iterator[tuple[Path, str, Any, Range | None]]:
    """(path to the field, flag, value with `...`, range) of options' numbers, those of nested dataclasses too."""
    for field in fields(options):
        value, flag = getattr(options, field.name), f"{prefix}{field.name.replace('_', '-')}"
        if is_dataclass(value):
            nameless = field.name == "probe"  # --count, not --probe.count
            yield from every_number(value, prefix if nameless else f"{flag}.", (*above, field.name))
        else:
            for pattern, ranged in numbers(field.type, value):
                yield (*above, field.name), flag, pattern, ranged
