"""Every option of a command: its name, type, default, range, choices and help. Help, documentation and flags use it."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from twinsight.options.choices import choices_of, sections
from twinsight.options.marks import CONTROL, FIRST, FLAT, POSITIONAL, REPEATED, Heading, notes
from twinsight.options.ranges import ranges_of
from twinsight.options.values import choices, in_words

REQUIRED = MISSING
"""The default of an option that has none."""


@dataclass(frozen=True)
class Option:
    """One option.

    name: its key in a recipe, with dots: "head.channels". flag: "--head.channels"; a positional one's name.
    kind: its type. default: REQUIRED if it has none. help: what it is for, one paragraph.
    section: the options that it stands among: "head", "method.views", or "" for those of the command.
    group: the heading that it stands under. first: whether --help shows it, or --help-all only.
    choices: the values that it takes, by name; of one that chooses by name (`chooses`) these are not all.
    """

    name: str
    flag: str
    kind: Any
    default: Any
    help: str
    section: str
    group: str
    choices: tuple[Any, ...] = ()
    chooses: bool = False
    positional: bool = False
    repeated: bool = False
    control: bool = False
    first: bool = False

    @property
    def words(self) -> str:
        """The type in words: "a whole number"."""
        return in_words(self.kind)

    @property
    def range(self) -> str:
        """The numbers that it takes, in short: "1 or more", "0 to 1"; "" for no numbers."""
        return " or ".join(dict.fromkeys(each.short for each in ranges_of(self.kind)))

    @property
    def shown_default(self) -> str:
        """The default as it is written on the command line; "" for none."""
        if self.default is REQUIRED or self.default is None or self.default == ():
            return ""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        several: tuple[Any, ...] = (
            cast(tuple[Any, ...], self.default) if isinstance(self.default, tuple) else (self.default,)
        )
        return " ".join(str(each).removesuffix(".0") for each in several)


def describe(cls: Any, chosen: Mapping[str, Any] | None = None) -> list[Option]:
    """The options of a command, in their order.

    chosen: the dataclass of each choice, such as {"head": FcnOptions}; by default those of the command.
    """
    return list(described(cls, "", "--", chosen or {}))


@cache
def every_option(cls: Any) -> tuple[Option, ...]:
    """The options of a command with each of its choices."""
    chosen = [{kind: each} for kind, table in choices_of(cls).items() for each in table.values()]
    return (*describe(cls), *(option for each in chosen for option in describe(cls, each) if "." in option.flag))


def described(cls: Any, prefix: str, flags: str, chosen: Mapping[str, Any], group: str = "") -> Iterator[Option]:
    tables = choices_of(cls)
    for field in fields(cls):
        name, flag = f"{prefix}{field.name}", f"{flags}{field.name.replace('_', '-')}"
        doc = field.metadata.get("help") or help_of(cls, field.name)
        marks = notes(field.type)
        if sections(field.type):
            section = chosen.get(field.name, field.default_factory)
            about = "This probe" if FLAT in marks else first_line(section)
            if field.name in tables:
                default = default_of(field).name
                yield Option(
                    f"{name}.name", flag, str, default, doc or help_of(section, "name"), "",
                    group or group_of(cls, field), tuple(tables[field.name]), chooses=True, first=FIRST in marks,
                )  # fmt: skip
            yield from described(section, f"{name}.", flags if FLAT in marks else f"{flag}.", {}, about)
        elif not (field.name == "name" and prefix):
            positional = POSITIONAL in marks
            yield Option(
                name, field.name if positional else flag, field.type, default_of(field), doc, prefix.removesuffix("."),
                group or group_of(cls, field), choices(field.type), False, positional, REPEATED in marks,
                CONTROL in marks, FIRST in marks,
            )  # fmt: skip


def default_of(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def help_of(cls: type, name: str) -> str:
    """The text below a field, in the class or the nearest above it that has one."""
    return next((docs[name] for each in cls.__mro__ if name in (docs := field_docs(each))), "")


def group_of(cls: type, field: Field[Any]) -> str:
    """The heading that a field says, or else that of the class that it comes from."""
    for note in notes(field.type):
        if isinstance(note, Heading):
            return note.text
    owner = next(each for each in reversed(cls.__mro__) if field.name in getattr(each, "__annotations__", ()))
    return vars(owner).get("heading", "Options")


def first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def field_docs(cls: type) -> dict[str, str]:
    return module_docs(cls.__module__).get(cls.__qualname__, {})


@cache
def module_docs(module: str) -> dict[str, dict[str, str]]:
    """The texts below the fields of a module's classes, read from its source."""
    file = getattr(sys.modules.get(module), "__file__", None)
    tree = ast.parse(Path(file).read_text(encoding="utf-8") if file else "")
    return {node.name: dict(texts(node.body)) for node in tree.body if isinstance(node, ast.ClassDef)}


def texts(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for above, below in pairwise(body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(inspect.cleandoc(text).split())
            case _:
                pass
