"""The help page of a command: the options that people use first, or all of them."""

import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import dedent, indent, wrap
from typing import Any, Literal, get_args, get_origin

from twinsight.options.choices import choices_of
from twinsight.options.describe import REQUIRED, Option, describe
from twinsight.options.flags import place_of_data
from twinsight.options.marks import bare
from twinsight.options.values import alternatives

HEADINGS = (
    "Options", "Data and model", "Model and data", "Model and images", "This probe", "Judging a backbone", "Training",
    "Loss", "Optimizer", "Speed and memory", "Segmenting whole images", "Looking inside while training", "Output",
)  # fmt: skip
"""What options stand under, in this order; those of a chosen head, data set and so on come last."""

PLACEHOLDERS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}

DIGITS = re.compile(r"(?<=\.\d{4})\d+")
"""Digits after the fourth behind the decimal point."""

NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps [default 100] on one line."""


def page(
    cls: Any, command: str, chosen: Mapping[str, Any], named: Collection[str] = (), everything: bool = False
) -> str:
    """What `twinsight COMMAND --help` prints.

    chosen: the dataclass of each choice. named: the choices that were named on the command line, whose own options are
    shown too. everything: show every option, as --help-all does.
    """
    options = describe(cls, chosen)
    shown = [each for each in options if everything or is_shown(each, options, named)]
    shown.sort(key=lambda each: HEADINGS.index(each.group) if each.group in HEADINGS else len(HEADINGS))
    about, *examples = (cls.__doc__ or "").split("\n", 1)
    lines = [continued(line) for line in dedent("".join(examples)).strip().splitlines()]
    parts = [usage(cls, command, options), paragraph(about), indent("\n".join(lines), "  ")]
    for group, members in groupby(shown, lambda each: each.group):
        parts.append(section(group, [entry(each, everything) for each in members]))
    parts.append(section("More", list(more(cls, len(options) - len(shown)))))
    return "\n\n".join(filter(None, parts))


def is_shown(option: Option, options: Sequence[Option], named: Collection[str]) -> bool:
    """Whether --help shows an option: those marked, if any are; a probe's; those of choices that were named."""
    few = not any(each.first for each in options)
    chosen = option.section.partition(".")[0] in named
    return option.first or chosen or ("." not in option.flag and (few or option.section != ""))


def usage(cls: Any, command: str, options: Sequence[Option]) -> str:
    words: list[str] = []
    for option in (each for each in options if each.positional):
        several = any(get_origin(each) is tuple for each in alternatives(option.kind))
        word = option.flag.upper() + "..." * several
        words.append(word if option.default is REQUIRED else f"[{word}]")
    if len(choices_of(cls).get("data", ())) > 1 and not command.startswith("look"):
        words.insert(place_of_data(options), "[DATA]")
    return " ".join(["Usage: twinsight", command, *words, *(["[OPTIONS]"] if options else [])])


def more(cls: Any, hidden: int) -> Iterator[tuple[str, str]]:
    """How to give options otherwise, and how to see those that are not shown."""
    kinds = [kind for kind in choices_of(cls) if kind != "backbone"]
    if kinds:
        yield "--config FILE.yaml", "Read a recipe first; repeatable. Flags override it."
    if hidden:
        yield "--help-all", f"Show {hidden} more options."
    if hidden and kinds:
        last = kinds[-1]
        rest = " Same for --data NAME." if last != "data" else ""
        yield f"--{last} NAME --help", f"Show that {'data set' if last == 'data' else last}'s options too.{rest}"


def entry(option: Option, everything: bool) -> tuple[str, str]:
    """How an option is written, and what is said about it."""
    left = option.flag.upper() if option.positional else f"{option.flag} {placeholder(option)}".rstrip()
    names = [str(each) for each in option.choices]
    listed = "" if all(name in option.help or name in left for name in names) else f"One of {', '.join(names)}."
    if option.name == "data.name" and not everything:
        listed = f"{len(names)} names; `twinsight data list` explains them."
    facts = [option.range] if everything and not option.chooses else []
    if option.default is REQUIRED:
        facts.append("required")
    elif option.shown_default not in ("", "false") and "Default: " not in option.help:
        facts.append(f"default {DIGITS.sub('', option.shown_default)}")
    said = f"[{'; '.join(filter(None, facts))}]".replace(" ", NO_BREAK)
    return left, " ".join(filter(None, [option.help, listed, said if said != "[]" else ""]))


def placeholder(option: Option) -> str:
    """What stands for an option's value: "N", "X X", "best|last"."""
    if option.chooses:
        return "PATH|NAME" if option.name == "data.name" else "NAME"
    if option.repeated:
        return "NAME"
    words = [word for each in alternatives(option.kind) if (word := one_placeholder(each))]
    return "NAME" if len("|".join(words)) > 14 else "|".join(words)


def one_placeholder(kind: Any) -> str:
    inner = get_args(bare(kind))
    if get_origin(kind) is Literal:
        return "|".join(map(str, inner))
    if get_origin(kind) is tuple:
        words = ["|".join(filter(None, map(one_placeholder, alternatives(each)))) for each in inner if each is not ...]
        return f"{words[0]} ..." if inner[-1] is ... else " ".join(words)
    return PLACEHOLDERS.get(kind, "")


def section(heading: str, entries: Sequence[tuple[str, str]], column: int | None = None) -> str:
    """A heading and its entries in two columns, the first of that width; nothing if there are none."""
    if not entries:
        return ""
    column = column or (22 if width() < 90 else 28)
    lines = [bold(paragraph(heading.removesuffix(".")))]
    for name, text in entries:
        first, *rest = wrap(text, width() - column - 2, break_on_hyphens=False) or [""]
        if len(name) > column - 2:
            lines.append(indent(bold(continued(name)), "  "))
            rest = [first, *rest]
        else:
            lines.append(f"  {bold(name)}{' ' * (column - len(name))}{first}".rstrip())
        lines += [" " * (column + 2) + line for line in rest]
    return "\n".join(lines).replace(NO_BREAK, " ")


def paragraph(text: str) -> str:
    return "\n".join(wrap(text, width()))


def continued(command: str) -> str:
    """A command in as many lines as it takes, which a shell reads as one; an option keeps its value beside it."""
    together = re.sub(r"(--\S+) ", rf"\1{NO_BREAK}", command)
    lines = wrap(together, width() - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(lines).replace(NO_BREAK, " ")


def width() -> int:
    """Columns to write in: those of the terminal, at most 100, since longer lines are hard to read."""
    return max(40, min(shutil.get_terminal_size().columns, 100))


def bold(text: str) -> str:
    """Bold in a terminal; plain in a file, in a pipe and under NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return text if plain or not terminal else f"\033[1m{text}\033[0m"
