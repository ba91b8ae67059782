"""Text, JSON and YAML from untrusted files: bounded in size and depth, and plain data only."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import yaml

from twinsight.errors import UserError

TEXT, OPTIONS = 1 << 28, 1 << 16
"""Maximum bytes of a text file, and of an options file, which usually has a few thousand."""

DEPTH = 20
"""Maximum nesting of maps and lists: options have four levels."""


def read_text(file: Path, source: str | None = None, most: int = TEXT) -> str:
    """UTF-8, with or without a byte order mark.

    source: the file's name in errors. Raises UserError if it cannot be read, is not a regular file, is larger than
    `most` bytes, or is not UTF-8.
    """
    source = source or str(file)
    try:
        if file.exists() and not file.is_file():  # reading a pipe would block, a device never ends
            raise UserError(f"{source}: is not a regular file; name a text file")
        if file.stat().st_size > most:
            raise UserError(f"{source}: is larger than {most:,} bytes, the limit; name another file")
        text = file.read_text(encoding="utf-8-sig")
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{source}: {(error.strerror or str(error)).lower()}; check the path") from error
    except ValueError as error:  # a null byte in the name, or bytes that are not UTF-8
        raise UserError(f"{source}: is not UTF-8 text; open it in an editor and save it as UTF-8") from error
    if "\0" in text:  # UTF-16 without a byte order mark, or binary
        raise UserError(f"{source}: is not UTF-8 text; open it in an editor and save it as UTF-8")
    return text


def read_lines(file: Path) -> list[str]:
    """The nonblank lines, stripped; raises UserError as `read_text` does."""
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def read_json(file: Path, keys: Iterable[str] = ()) -> dict[str, Any]:
    """A JSON object. Raises UserError if the file contains something else, or a key is missing."""
    content = load_json(file)
    if not isinstance(content, dict):
        raise UserError(f"{file}: does not hold a JSON object; restore the file or create it again")
    if missing := [key for key in keys if key not in content]:
        raise UserError(f"{file}: lacks {', '.join(missing)}; restore the file or create it again")
    return cast(dict[str, Any], content)


def load_json(file: Path, most: int = TEXT) -> Any:
    """The content of a JSON file of at most `most` bytes, of any type. Raises UserError if it is not valid JSON."""
    text = read_text(file, most=most)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is not valid JSON ({error}); restore the file or create it again") from error


def read_yaml(file: Path, source: str | None = None) -> Any:
    """Plain YAML: maps, lists, text, numbers, true, false and null.

    Raises UserError, with the line, for other YAML features (anchors, aliases, tags), duplicate keys, numbers in base
    60 or 8, and excessive nesting or size.
    """
    source = source or str(file)
    text = read_text(file, source, OPTIONS)
    try:
        return yaml.load(text, Plain)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise UserError(f"{source}: is not valid YAML; correct {where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{source}: is not valid YAML; correct it: {' '.join(str(error).split())}") from error


class Plain(yaml.SafeLoader):
    """Rejects dangerous YAML as soon as it occurs, before parsing the rest."""

    depth = 0

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in PyYAML); dates are text, and << is an ordinary key
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = cast(Any, self.peek_event())  # pyright: ignore[reportUnknownMemberType] (missing in types-PyYAML)
        if event.anchor is not None:  # an alias has one too
            raise problem(event, "anchors and aliases (& and *) are not supported, so write the value out")
        if event.tag is not None:
            raise problem(event, f"tags such as {event.tag} are not supported, so write plain values")
        if self.depth > DEPTH:
            raise problem(event, f"more than {DEPTH} levels of nesting, so nest less deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set[tuple[str, object]]()
        for key, _ in node.value:
            name = (key.tag, key.value if isinstance(key.value, str) else id(key))
            if name in seen:
                raise problem(key, f"{key.value} occurs twice in one mapping, so remove one")
            seen.add(name)
        return super().construct_mapping(node, deep=True)

    def construct_yaml_int(self, node: Any) -> int:
        if not re.fullmatch(r"[-+]?(0|[1-9]\d{0,99})", node.value):
            raise problem(node, f"{node.value[:40]} is not a whole number of up to 100 decimal digits, so write one")
        return int(node.value)


Plain.add_constructor("tag:yaml.org,2002:int", Plain.construct_yaml_int)


def problem(where: Any, text: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=where.start_mark)
