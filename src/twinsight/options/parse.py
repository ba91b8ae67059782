"""Options from the command line and from YAML recipes, both checked by the same types."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields, is_dataclass, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as brief
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro
import yaml

from twinsight.errors import UserError
from twinsight.options.ranges import check_ranges
from twinsight.plain import read_yaml

CONTROL = {"run", "resume", "overwrite", "dry_run"}
"""Options about one run rather than about what it computes: never saved, never in a recipe."""

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    NoneType: "null",
}


def parse(
    cls: type, command: str, argv: Sequence[str], tree: Mapping[str, Any] | None = None, source: object = "config.yaml"
) -> Any:
    """The command's dataclass, filled from `tree`, then from each `--config FILE`, then from the flags, each over the
    last, section by section. A section that names another choice (head: setr-pup) starts anew.

    source: where the tree is from, for errors. Prints help or a complaint and exits (code 2) as tyro does; raises
    UserError for what only we can tell.
    """
    argv = list(argv)
    recipes = [(str(source), dict(tree or {}))]
    while (value := take_flag(argv, "--config")) is not None:
        recipes.append((f"--config {value}", read(Path(value), command, f"--config {value}")))
    kinds = getattr(cls, "choices", {})
    chosen = {kind: choose_for(cls, kind, recipes, last_flag(argv, f"--{kind}")) for kind in kinds}
    concrete = make_dataclass(cls.__name__, [(k, c, field(default_factory=c)) for k, c in chosen.items()], bases=(cls,))
    merged: dict[str, Any] = {}
    for file, recipe in recipes:
        fill(concrete, recipe, file)  # so that what is wrong is blamed on the file that holds it
        merged = merge(merged, recipe)
    help_text = f"{cls.__doc__}\n\n--config FILE.yaml fills in any of these options; flags override it."
    options = tyro.cli(
        concrete,
        prog=f"twinsight {command}",
        description=help_text,
        args=argv,
        default=fill(concrete, merged, ""),
    )
    check_ranges(options)
    return options


def choose_for(cls: Any, kind: str, recipes: Sequence[tuple[str, dict[str, Any]]], flag: str | None) -> type:
    """The dataclass of a choice, by the flag or by the last recipe that names one.

    Gives recipes' sections their long form, and takes out those of a choice that a later name replaces.
    """
    named = None
    for i, (_, recipe) in enumerate([*recipes, ("", {kind: {"name": flag}})]):
        section = recipe.get(kind, {})
        if not isinstance(section, Mapping):  # the short form, `head: setr-pup`
            section = recipe[kind] = {"name": section}
        name = section.get("name")
        if name is None:
            continue
        if named is not None and choose(cls, kind, name) is not choose(cls, kind, named):
            for _, replaced in recipes[:i]:
                replaced.pop(kind, None)
        named = name
    return choose(cls, kind, named)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees as one: maps are merged, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def choose(cls: Any, kind: str, name: object) -> type:
    """The dataclass of a choice by name; without a name, the command's default."""
    table = cls.choices[kind]
    if isinstance(name, str) and name in table:
        return table[name]
    # Any other backbone is a timm model, which only torch can tell.
    if name is None or (kind == "backbone" and isinstance(name, str)):
        default: Any = next(f.default_factory for f in fields(cls) if f.name == kind)
        return default
    raise UserError(f"--{kind} {name!s:.60}: unknown; {suggest(str(name), table)}")


def suggest(name: str, names: Sequence[str] | Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"choose one of {', '.join(names)}"


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


def read(file: Path, command: str | None = None, source: str | None = None) -> dict[str, Any]:
    """A recipe's tree. Raises UserError if it is missing, no plain YAML, or written for another command."""
    source = source or str(file)
    tree = read_yaml(file, source)
    if not isinstance(tree, dict):
        raise UserError(f"{source}: holds no options; write lines such as 'epochs: 100'")
    written_for = tree.pop("command", command)
    if command is not None and written_for != command:
        raise UserError(f"{source}: is for `twinsight {written_for}`, not for `twinsight {command}`")
    return tree


def fill(cls: type, tree: Mapping[str, Any], source: str, prefix: str = "") -> Any:
    """The dataclass with a tree's values. Raises UserError for a key that it lacks or a value of another
    type.
    """
    kinds = {f.name: f.type for f in fields(cls)}
    values = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if key not in kinds or name in CONTROL:
            raise UserError(f"{source}: unknown key {name}; {suggest(str(key), kinds)}")
        kind: Any = kinds[key]
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise UserError(f"{source}: {name} needs options below it, not {brief(value)}")
            values[key] = fill(kind, value, source, f"{name}.")  # type: ignore[arg-type] (a class, as all annotations here are)
            continue
        try:
            values[key] = convert(value, kind)
        except (ValueError, OverflowError) as error:
            raise UserError(f"{source}: {name} must be {describe(kind)}, not {brief(value)}") from error
    return cls(**values)


def convert(value: Any, kind: Any) -> Any:
    """A value that YAML read, as a field's type wants it. Raises ValueError if it is of another type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return convert(value, inner[0])
    if origin in (Union, UnionType):
        for option in inner:
            try:
                return convert(value, option)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        if inner[-1] is ...:
            return tuple(convert(v, inner[0]) for v in value)
        if len(value) == len(inner):
            return tuple(map(convert, value, inner))
    elif origin is Literal and value in inner:
        return value
    elif kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        return float(value)  # 1e-3 is text to YAML, which wants 1.0e-3
    elif isinstance(value, str) and "\0" in value:  # no path has it, nor anything else that is typed
        raise ValueError
    elif kind is Path and isinstance(value, str):
        return Path(value)
    elif kind in (int, float, str, bool, NoneType) and type(value) is kind:
        return value
    raise ValueError


def describe(kind: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return describe(inner[0])
    if origin is tuple:
        count = "" if inner[-1] is ... else f" of {len(inner)}"
        return f"a list{count}, each {describe(inner[0])}"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    return WORDS[kind] if kind in WORDS else " or ".join(map(describe, inner))


def dump(options: Any, command: str) -> str:
    """The complete options as YAML that `--config` reads again."""
    return yaml.safe_dump({"command": command} | plain(asdict(options)), sort_keys=False)


def plain(value: Any) -> Any:
    """Paths and tuples as YAML knows them."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in CONTROL}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"head": {"name": "linear"}} -> {"head.name": "linear"}."""
    pairs: dict[str, Any] = {}
    for name, value in options.items():
        pairs |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return pairs
