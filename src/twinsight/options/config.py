"""Options on disk: recipes, and the config.yaml of a run, which later versions go on reading."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from twinsight.errors import UserError
from twinsight.options.marks import CONTROL, notes
from twinsight.plain import read_yaml

FORMAT = 1
"""The number that a config.yaml of today carries. Those without one are of format 0."""

RENAMED: dict[int, dict[str, str]] = {}
"""Options that have another name from a format on: {2: {"head.channels": "head.width"}}. To rename one, count FORMAT up
and write both names here, whole and with dots; files of earlier formats are then read by their new names."""


def read(file: Path, command: str | None = None, source: str | None = None) -> dict[str, Any]:
    """A recipe's tree, with the names of today.

    Raises UserError if it is missing, no plain YAML, written for another command, or by a later version.
    """
    source = source or str(file)
    content = read_yaml(file, source)
    if not isinstance(content, dict):
        raise UserError(f"{source}: holds no options; write lines such as 'epochs: 100'")
    tree = cast(dict[str, Any], content)
    written_for = tree.pop("command", command)
    if command is not None and written_for != command:
        raise UserError(f"{source}: is for `twinsight {written_for}`, not for `twinsight {command}`")
    return renamed(tree, tree.pop("format", 0), source)


def renamed(tree: dict[str, Any], written: object, source: str) -> dict[str, Any]:
    """A tree of an earlier format with the names of today."""
    if type(written) is not int or not 0 <= written <= FORMAT:
        raise UserError(f"{source}: has format {written!s:.20}, and this version reads 0 to {FORMAT}; update twinsight")
    for number in range(written + 1, FORMAT + 1):
        for old, new in RENAMED.get(number, {}).items():
            *path, last = old.split(".")
            section: dict[str, Any] = tree
            for key in path:
                section = section[key] if isinstance(section.get(key), dict) else {}
            if last in section:
                put(tree, new, section.pop(last))
    return tree


def put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Set "head.channels" in {"head": {}}."""
    *path, last = name.split(".")
    for key in path:
        tree = tree.setdefault(key, {})
    tree[last] = value


def dump(options: Any, command: str) -> str:
    """The complete options as YAML that `--config` reads again."""
    return yaml.safe_dump({"command": command, "format": FORMAT} | plain(options), sort_keys=False)


def plain(value: Any) -> Any:
    """Options, paths and tuples as YAML knows them."""
    if is_dataclass(value):
        kept = [field for field in fields(value) if CONTROL not in notes(field.type)]
        return {field.name: plain(getattr(value, field.name)) for field in kept}
    if isinstance(value, list | tuple):
        return [plain(each) for each in cast(Sequence[Any], value)]
    return str(value) if isinstance(value, Path) else value


def flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"head": {"name": "linear"}} -> {"head.name": "linear"}."""
    pairs: dict[str, Any] = {}
    for name, value in options.items():
        below = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else None
        pairs |= {f"{prefix}{name}": value} if below is None else flat(below, f"{prefix}{name}.")
    return pairs
