"""Options from the command line, YAML recipes and Python keywords, all checked by the same types."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path
from reprlib import repr as brief
from typing import Any, cast

from twinsight.errors import UserError
from twinsight.options.choices import choices_of, sections
from twinsight.options.choose import Tree, choose
from twinsight.options.config import put, read
from twinsight.options.describe import describe, every_option
from twinsight.options.flags import HELP, extra_word, read_flags
from twinsight.options.help import page
from twinsight.options.marks import CONTROL, FLAT, POSITIONAL, notes
from twinsight.options.ranges import check_ranges
from twinsight.options.unknown import flag, no_such_option
from twinsight.options.values import convert, in_words


def parse(
    cls: type, command: str, argv: Sequence[str], tree: Mapping[str, Any] | None = None, source: object = "config.yaml"
) -> Any:
    """The command's dataclass, filled from `tree`, then from each `--config FILE`, then from the flags, each over the
    last, section by section. A section that names another choice (head: setr-pup) starts anew.

    source: where the tree is from, for errors. Prints the help and exits where it is asked for. Raises UserError for
    what is unknown, of another type or out of range.
    """
    argv = list(argv)
    sources = [(str(source), dict(tree or {}))]
    while (value := take_flag(argv, "--config")) is not None:
        sources.append((f"--config {value}", read(Path(value), command, f"--config {value}")))
    named: Tree = {}
    for kind in choices_of(cls):
        while (value := take_flag(argv, f"--{kind}")) is not None:
            named[kind] = {"name": value}
    root = last_flag(argv, "--data.root") if "data" in choices_of(cls) else None
    place = extra_word(every_option(cls), argv, "data" in named) if len(choices_of(cls).get("data", ())) > 1 else None
    if place is not None:
        if "data" in named:
            by = f"--data {named['data']['name']}" if root is None else f"--data.root {root}"
            raise UserError(f"{argv[place]}: names the data, and so does {by}; leave one of them out")
        named["data"] = {"name": argv.pop(place)}
    if root is not None:
        named.setdefault("data", {})["root"] = root
    sources.append(("", named))
    chosen = choose(cls, sources, masks=last_flag(argv, "--data.masks") is not None)
    if set(HELP) & set(argv):
        print(page(cls, command, chosen, named, "--help-all" in argv))
        sys.exit(0)
    explain = partial(no_such_option, cls=cls, command=command, chosen=chosen, source=None)
    flags: Tree = {}
    for name, value in read_flags(describe(cls, chosen), argv, explain).items():
        put(flags, name, value)
    return combine(cls, command, [*sources, ("", flags)], chosen)


def from_keywords(cls: Any, command: str, keywords: Mapping[str, Any]) -> Any:
    """The command's dataclass from Python: from_keywords(Segment, "segment", {"head": "fcn", "epochs": 3}).

    A choice is a name, a mapping with a name and options, an options object, a path, or a class of one's own; a path
    may be a str; a tuple a list. Raises UserError as the command line does, in its words (--batch-size).
    """
    sources = [("", {name: as_tree(value, name in choices_of(cls)) for name, value in keywords.items()})]
    return combine(cls, command, sources, choose(cls, sources))


def as_tree(value: Any, chooses: bool = False) -> Any:
    """A value from Python as YAML would have it."""
    if isinstance(value, Mapping):
        return {key: as_tree(each) for key, each in cast(Mapping[str, Any], value).items()}
    if chooses and inspect.isclass(value):
        place = inspect.getfile(value) if value.__module__ == "__main__" else value.__module__
        return {"name": f"{place}:{value.__name__}"}
    if is_dataclass(value):
        return {field.name: as_tree(getattr(value, field.name)) for field in fields(value)}
    return value


def combine(cls: Any, command: str, sources: Sequence[tuple[str, Tree]], chosen: Mapping[str, Any]) -> Any:
    """The options of several trees, each over the last. What is wrong is blamed on the source that holds it."""
    values: Tree = {}
    for source, tree in sources:
        explain = partial(no_such_option, cls=cls, command=command, chosen=chosen, source=source)
        values = merge(values, checked(cls, tree, chosen, source, explain))
    options = make(cls, values, chosen)
    check_ranges(options)
    return options


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Two trees as one: maps are merged, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old: Any = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(cast(Tree, old), cast(Tree, value)) if both else value
    return merged


def checked(
    cls: Any,
    tree: Mapping[str, Any],
    chosen: Mapping[str, Any],
    source: str,
    explain: Callable[[str], UserError],
    prefix: str = "",
) -> Tree:
    """A tree with its values as their types want them. Raises UserError for a value of another type, and what `explain`
    says of an unknown key.
    """
    known = {field.name: field for field in fields(cls)}
    values: Tree = {}
    for key, value in flat_ones_below(cls, tree).items():
        field = known.get(key)
        if field is None or (source and CONTROL in notes(field.type)):
            raise explain(f"{prefix}{key}")
        if inside := sections(field.type):
            if not isinstance(value, Mapping):
                raise UserError(f"{named(f'{prefix}{key}', source)} needs options below it, not {brief(value)}")
            section = cast(Tree, value)
            values[key] = checked(chosen.get(key, inside[0]), section, {}, source, explain, f"{prefix}{key}.")
            continue
        try:
            values[key] = convert(value, field.type)
        except ValueError as error:
            given = f"{named(f'{prefix}{key}', source)} must be {in_words(field.type)}"
            raise UserError(f"{given}, not {brief(value)}") from error
    return values


def flat_ones_below(cls: Any, tree: Mapping[str, Any]) -> Tree:
    """A tree whose keys without a prefix (count, not probe.count) are where they belong."""
    found = dict(tree)
    for field in fields(cls):
        if FLAT in notes(field.type):
            inside = {inner.name for inner in fields(sections(field.type)[0])}
            moved = {key: found.pop(key) for key in list(found) if key in inside}
            if moved:
                found[field.name] = {**found.get(field.name, {}), **moved}
    return found


def named(name: str, source: str) -> str:
    """An option in an error: as the key of a file, or as a flag."""
    return f"{source}: {name}" if source else f"{flag(name)}:"


def make(cls: Any, values: Tree, chosen: Mapping[str, Any], prefix: str = "") -> Any:
    """The dataclass with these values. Raises UserError if one is missing that has no default."""
    made = dict(values)
    for field in fields(cls):
        inside = sections(field.type)
        if inside:
            section = chosen.get(field.name, inside[0])
            made[field.name] = make(section, values.get(field.name, {}), {}, f"{prefix}{field.name}.")
        elif field.name not in made and field.default is MISSING and field.default_factory is MISSING:
            name = f"{prefix}{field.name}"
            if prefix:
                raise UserError(f"{flag(name)}: is missing; --{prefix[:-1]} {getattr(cls, 'name', '')} requires it")
            raise UserError(
                f"{name.upper() if POSITIONAL in notes(field.type) else flag(name)}: is missing; see --help"
            )
    return cls(**made)


def take_flag(argv: list[str], flag: str) -> str | None:
    """Remove the first `flag VALUE` or `flag=VALUE` from argv and return its value."""
    for i, token in enumerate(argv):
        if token == flag:
            if i + 1 == len(argv):
                raise UserError(f"{flag}: needs a value")
            del argv[i]
            return argv.pop(i)
        if token.startswith(f"{flag}="):
            return argv.pop(i).partition("=")[2]
    return None


def last_flag(argv: Sequence[str], flag: str) -> str | None:
    rest, found = list(argv), None
    while (value := take_flag(rest, flag)) is not None:
        found = value
    return found
