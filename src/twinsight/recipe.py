"""Options from the command line and from YAML recipes, both checked by the same types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field, fields, is_dataclass, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tyro
import yaml

from twinsight.errors import UserError

CONTROL = {"run", "resume", "overwrite", "dry_run"}
"""Options about one run rather than about what it computes: never saved, never in a recipe."""


def parse(cls: type, command: str, argv: Sequence[str], tree: Mapping[str, Any] | None = None) -> Any:
    """The command's dataclass, filled from `tree`, then from `--config FILE`, then from the flags, each over the last.

    Prints help or a complaint and exits (code 2) as tyro does; raises UserError for what only we can tell.
    """
    argv = list(argv)
    recipe: dict[str, Any] = dict(tree or {})
    source = "config.yaml"
    while (value := take_flag(argv, "--config")) is not None:
        source = value
        recipe |= read(Path(value), command)
    chosen = {}
    for kind, table in getattr(cls, "choices", {}).items():
        flag = last_flag(argv, f"--{kind}")
        section = recipe.get(kind)
        named = section.get("name") if isinstance(section, Mapping) else section
        if flag is not None and named not in (None, flag) and table.get(flag) is not table.get(named):
            recipe[kind] = {}  # the recipe's options are those of another choice
        elif named is not None and not isinstance(section, Mapping):
            recipe[kind] = {"name": named}
        chosen[kind] = choose(cls, kind, flag or named)
    concrete = make_dataclass(
        cls.__name__, [(k, c, field(default_factory=c)) for k, c in chosen.items()], bases=(cls,)
    )
    concrete.__doc__ = cls.__doc__
    tokens = [*flatten(concrete, recipe, source), *argv]
    return tyro.cli(concrete, prog=f"twinsight {command}", description=cls.__doc__, args=tokens)


def choose(cls: type, kind: str, name: str | None) -> type:
    """The dataclass of a choice by name; without a name, the command's default."""
    table = cls.choices[kind]  # type: ignore[attr-defined]
    default = next(f.default_factory for f in fields(cls) if f.name == kind)
    if name is None:
        return default  # type: ignore[return-value]
    if name in table:
        return table[name]
    if kind == "backbone":  # every other name is a timm model, which only torch can tell
        return default  # type: ignore[return-value]
    raise UserError(f"--{kind} {name}: unknown; {suggest(name, table)}")


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
    while rest and rest[-1] == flag:
        rest.pop()  # tyro complains of the missing value
    while (value := take_flag(rest, flag)) is not None:
        found = value
    return found


def read(file: Path, command: str) -> dict[str, Any]:
    """A recipe's tree. Raises UserError if it is missing, no YAML, or written for another command."""
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {file}: {(error.strerror or str(error)).lower()}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {file}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"--config {file}: holds no options; write lines such as 'epochs: 100'")
    written_for = tree.pop("command", command)
    if written_for != command:
        raise UserError(f"--config {file}: is for `twinsight {written_for}`, not for `twinsight {command}`")
    return tree


def flatten(cls: type, tree: Mapping[str, Any], source: str, prefix: str = "") -> Iterator[str]:
    """A tree of options as command-line tokens, so that they pass the same checks as flags."""
    kinds = {f.name: f for f in fields(cls)}
    for key, value in tree.items():
        name = prefix + str(key)
        if key not in kinds or name in CONTROL:
            raise UserError(f"--config {source}: unknown key {name}; {suggest(str(key), kinds)}")
        kind = kinds[key].type
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise UserError(f"--config {source}: {name} needs options below it, not {value!r}")
            yield from flatten(kind, value, source, f"{name}.")  # type: ignore[arg-type]
            continue
        if isinstance(value, Mapping):
            raise UserError(f"--config {source}: {name} takes a value, not options below it")
        flag = f"--{prefix[:-1] if key == 'name' else name}".replace("_", "-")
        if isinstance(value, bool):
            yield flag if value else no(flag)
        elif isinstance(value, list | tuple):
            yield flag
            yield from map(str, value)
        else:
            yield f"{flag}={value}"


def no(flag: str) -> str:
    """--a.b -> --a.no-b"""
    head, dot, last = flag.removeprefix("--").rpartition(".")
    return f"--{head}{dot}no-{last}"


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
