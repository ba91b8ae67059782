"""Writes src/twinsight/api/keywords.py, the keywords of the Python functions, from the options of the commands."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import fill
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from twinsight.api.calls import in_python
from twinsight.options.choices import sections
from twinsight.options.commands import Evaluate, Predict, Pretrain, Segment
from twinsight.options.data import DATA
from twinsight.options.describe import help_of
from twinsight.options.look import Look
from twinsight.options.marks import FLAT, bare, notes
from twinsight.options.probes import PROBES
from twinsight.options.values import alternatives

FILE = Path(__file__).parents[1] / "src" / "twinsight" / "api" / "keywords.py"

HEADER = '''"""The keywords of the Python functions: written by `make stubs` from the commands' options, not by hand."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict

from twinsight.options.build import Buildable

File: TypeAlias = str | PathLike[str]
Section: TypeAlias = Mapping[str, Any] | Buildable
"""Options that belong together: {"size": 224}."""
Choice: TypeAlias = File | Section | type[Any]
"""What is chosen by name: "dino", {"name": "dino", "dim": 4096}, or a class or a Python file of one's own."""
Probe: TypeAlias = Literal[
PROBES
]
'''

NAMES = {NoneType: "None", Path: "File", int: "int", float: "float", str: "str", bool: "bool"}


def spelled(kind: Any) -> str:
    """A type as Python source."""
    if inside := sections(kind):
        chosen = any(field.name == "name" for section in inside for field in fields(section))
        return "Choice" if chosen else "Section"
    return " | ".join(dict.fromkeys(part for each in alternatives(kind) for part in one(each).split(" | ")))


def one(kind: Any) -> str:
    kind = bare(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"Literal[{', '.join(map(double_quoted, inner))}]"
    if origin is tuple:
        return f"Sequence[{spelled(inner[0])}]"
    return NAMES[kind]


def double_quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def keywords(
    name: str, classes: Sequence[Any], left_out: Sequence[str], doc: str, base: str = "TypedDict"
) -> Iterator[str]:
    """A TypedDict of the fields of these dataclasses, each once. base: one that has those left out."""
    yield f'\n\nclass {name}({base}, total=False):\n    """{doc}"""\n\n'
    kinds: dict[str, list[Any]] = {}
    helps: dict[str, str] = {}
    for cls in classes:
        for field in fields(cls):
            if field.name not in left_out and FLAT not in notes(field.type):
                kinds.setdefault(field.name, []).append(field.type)
                helps.setdefault(field.name, help_of(cls, field.name))
    for key, types in kinds.items():
        parts = dict.fromkeys(part for kind in types for part in spelled(kind).split(" | "))
        yield f"    {key}: {' | '.join(parts)}\n"
        if helps[key]:
            text = in_python(helps[key], {})
            yield (
                fill(f'"""{text}"""', 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
                + "\n"
            )


def shared(one: Any, other: Any) -> list[str]:
    """Fields that two dataclasses have with the same type and the same text."""
    others = {field.name: (field.type, help_of(other, field.name)) for field in fields(other)}
    return [field.name for field in fields(one) if others.get(field.name) == (field.type, help_of(one, field.name))]


def text() -> str:
    training, opening = ["data", "dry_run"], ("checkpoint", "accelerator", "backbone")
    both = shared(Pretrain, Segment)
    own = [field.name for field in fields(Pretrain) if field.name not in both]
    left = [*training, *both]
    parts = [
        HEADER.replace("PROBES", "\n".join(f'    "{name}",' for name in PROBES)),
        *keywords("TrainingKeywords", [Pretrain], [*training, *own], "Options of every training."),
        *keywords("PretrainKeywords", [Pretrain], left, "Options of `twinsight.pretrain`.", "TrainingKeywords"),
        *keywords("SegmentKeywords", [Segment], left, "Options of `twinsight.segment`.", "TrainingKeywords"),
        *keywords(
            "EvaluateKeywords", [Evaluate],
            (*opening, "run", "data", "overwrite", "json"), "Options of `twinsight.evaluate`.",
        ),
        *keywords(
            "PredictKeywords", [Predict],
            (*opening, "run", "images", "out", "overlay", "opacity", "overwrite"),
            "Options of `Model.predict`.",
        ),
        *keywords(
            "LookKeywords", [Look, *PROBES.values()],
            (*opening, "images", "weights", "out", "format", "numbers", "overwrite", "data"),
            "Options of `twinsight.look`: of all probes, each of which takes its own.",
        ),
        *keywords("DataKeywords", list(DATA.values()), ("name", "root", "train", "val"), "Options of `Dataset.open`."),
    ]  # fmt: skip
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(text()) if "--print" in sys.argv else FILE.write_text(text(), encoding="utf-8")
