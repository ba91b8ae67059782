"""What can be chosen by name: the dataclasses of a union, each with the name that its field `name` has."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_origin

from twinsight.options.values import alternatives


def sections(kind: Any) -> tuple[type, ...]:
    """The dataclasses that may stand in a field of this type; none for a plain value."""
    return tuple(each for each in alternatives(kind) if is_dataclass(each) and isinstance(each, type))


def names_of(cls: type) -> Iterator[str]:
    """The name of a dataclass that is chosen by name; none if it goes by any name, as all models of timm do."""
    for field in fields(cls):
        if field.name == "name" and get_origin(field.type) is Literal:
            yield str(field.default)


def table(kind: Any) -> dict[str, Any]:
    """The dataclasses of a union by their names, in its order."""
    return {name: cls for cls in sections(kind) for name in names_of(cls)}


@cache
def choices_of(cls: Any) -> dict[str, dict[str, Any]]:
    """The options of a command that choose by name: {"head": {"linear": LinearOptions, ...}, ...}."""
    return {
        field.name: table(field.type)
        for field in fields(cls)
        if any(inner.name == "name" for section in sections(field.type) for inner in fields(section))
    }
