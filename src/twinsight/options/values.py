"""Values as a field's type wants them, whether from a command line, YAML or Python; and types in words."""

import operator
import os
from collections.abc import Iterator, Sequence
from math import inf
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, SupportsIndex, Union, cast, get_args, get_origin

from twinsight.options.marks import bare

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path", NoneType: "none"}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type, itself. Annotations are taken off."""
    kind = bare(kind)
    return tuple(map(bare, get_args(kind))) if get_origin(kind) in (Union, UnionType) else (kind,)


def convert(value: Any, kind: Any) -> Any:
    """A value from YAML or Python as a field's type wants it. Raises ValueError if it is of another type."""
    for each in alternatives(kind):
        try:
            return convert_to(value, each)
        except (ValueError, OverflowError):
            continue
    raise ValueError


def convert_to(value: Any, kind: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        values = cast(Sequence[Any], value) if isinstance(value, list | tuple) else fail()
        if inner[-1] is not ... and len(values) != len(inner):
            raise ValueError
        return tuple(convert(each, inner[0 if inner[-1] is ... else i]) for i, each in enumerate(values))
    if origin is Literal:
        found = [each for each in inner if type(each) is type(value) and each == value]
        return found[0] if found else fail()
    if isinstance(value, str) and "\0" in value:  # no path has it, nor anything else that is typed
        raise ValueError
    if kind is Path and isinstance(value, str | os.PathLike):
        return Path(os.fspath(cast(str | os.PathLike[str], value)))
    if isinstance(value, bool) and kind is not bool:
        raise ValueError
    if kind is float and isinstance(value, str) and value.endswith("%"):
        return float(value[:-1]) / 100
    if kind is float and isinstance(value, Real | str):
        return float(value)  # 1e-3 is text to YAML, which wants 1.0e-3
    if kind is int and isinstance(value, SupportsIndex):
        return operator.index(value)  # NumPy's too
    if kind in (str, bool, NoneType) and isinstance(value, kind):
        return value
    raise ValueError


def fail() -> NoReturn:
    raise ValueError


def understand(words: Sequence[str], kind: Any) -> Any:
    """The value that words of a command line stand for. Raises ValueError if they stand for none of this type."""
    for each in alternatives(kind):
        try:
            return understand_as(words, each)
        except (ValueError, OverflowError):
            continue
    raise ValueError


def understand_as(words: Sequence[str], kind: Any) -> Any:
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        if inner[-1] is not ... and len(words) != len(inner):
            raise ValueError
        return tuple(understand([word], inner[0 if inner[-1] is ... else i]) for i, word in enumerate(words))
    (word,) = words
    if get_origin(kind) is Literal:
        found = [each for each in inner if str(each) == word]
        return found[0] if found else fail()
    if kind is NoneType:
        return None if word.lower() in ("none", "null") else fail()
    if kind is bool:
        return {"true": True, "false": False}[word.lower()] if word.lower() in ("true", "false") else fail()
    return convert_to(int(word) if kind is int else word, kind)


def count_words(kind: Any) -> tuple[int, float]:
    """How many words of a command line make a value of this type, least and most."""
    counts = [
        ((0, inf) if get_args(each)[-1] is ... else (len(get_args(each)),) * 2) if get_origin(each) is tuple else (1, 1)
        for each in alternatives(kind)
        if each is not NoneType
    ]
    return min(least for least, _ in counts), max(most for _, most in counts)


def choices(kind: Any) -> tuple[Any, ...]:
    """The values that a type lists, within a tuple too; empty for any others."""
    return tuple(each for part in alternatives(kind) for each in listed(part))


def listed(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif get_origin(kind) is tuple:
        yield from choices(get_args(kind)[0])


def in_words(kind: Any) -> str:
    """A type in words."""
    return " or ".join(each_in_words(each) for each in alternatives(kind))


def each_in_words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        count = "" if inner[-1] is ... else f" of {len(inner)}"
        return f"a list{count}, each {in_words(inner[0])}"
    if origin is Literal:
        return str(inner[0]) if len(inner) == 1 else f"one of {', '.join(map(str, inner))}"
    return WORDS[kind]
