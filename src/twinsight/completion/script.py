"""Tab completion: one table of what can be typed, one awk program that reads it, and a few lines for each shell.

No Python runs when a key is pressed.
"""

import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.describe import Option, describe, every_option, first_line
from twinsight.options.flags import negative
from twinsight.options.look import Look
from twinsight.options.marks import bare
from twinsight.options.probes import PROBES
from twinsight.options.values import alternatives, count_words

Shell = Literal["bash", "zsh", "fish"]

NETWORKS = "resnet18 resnet50 vit_tiny_patch16_224 vit_small_patch16_224 swin_tiny_patch4_window7_224 convnext_tiny"
OFFICIAL = (
    "dino_vits16 dino_vits8 dino_vitb16 dino_vitb8 dino_resnet50 dinov2_vits14 dinov2_vitb14 dinov2_vitl14 "
    "barlowtwins_resnet50"
)
VALUES = {
    "backbone.name": f"vit-pytorch {NETWORKS}",
    "data.name": "@path",
    "head.name": "@py",
    "method.name": "@py",
    "weights": f"@path {OFFICIAL}",
    "loss": "+ cross-entropy dice focal jaccard lovasz",
    "probe": f", auto none {' '.join(PROBES)}",
}
"""What an option's type does not say: files for @path and @py, lists within a word after a , or a +."""


def script(shell: Shell) -> str:
    """A script for the shell, complete in itself."""
    here = files("twinsight.completion")
    quoted = quote_for_fish if shell == "fish" else shlex.quote
    text = here.joinpath(f"{shell}.txt").read_text(encoding="utf-8")
    program = here.joinpath("words.awk").read_text(encoding="utf-8")
    return text.replace("@TABLE@", quoted("\n".join(table()))).replace("@AWK@", quoted(program))


def quote_for_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def table() -> Iterator[str]:
    """Lines of COMMAND, FLAG or NAME, SKIP, COUNT, VALUES and HELP, as words.awk explains them."""
    for name, cls in COMMANDS.items():
        above, _, word = name.rpartition(" ")
        yield line(above, word, help=first_line(cls))
    for group, about in (("look", "Look inside a model."), ("data", "Check, show, list and make data sets.")):
        yield line("", group, help=about)
    for name, cls in {**COMMANDS, "look *": Look}.items():
        below_look = name.removeprefix("look ") in PROBES and name.startswith("look ")
        yield from rows(name, cls, {option.flag for option in every_option(Look)} if below_look else set())
        yield line(name, "--help", help="Show the options that people use first.")
        yield line(name, "--help-all", help="Show all options.")
        if choices_of(cls):
            yield line(name, "--config", count=1, values="@yaml", help="Read a recipe first.")


def rows(name: str, cls: Any, shared: set[str]) -> Iterator[str]:
    seen = set(shared)
    for option in every_option(cls):
        if option.flag in seen:
            continue
        seen.add(option.flag)
        count = 0 if bool in alternatives(option.kind) else 1 if option.repeated else count_words(option.kind)[1]
        flag = "" if option.positional else option.flag
        about = option.help.partition(". ")[0].removesuffix(".")
        if option.flag == "--data" and not name.startswith("look"):  # which is also a word on its own: pretrain photos
            yield line(name, "", count=1, values=values(option), help=about)
        yield line(name, flag, skip(cls, option), "*" if count > 100 else int(count), values(option), about)
        if option.default is True:
            yield line(name, negative(option.flag), skip(cls, option), help=f"Not: {about}")


def line(command: str, name: str, skip: str = "", count: int | str = 0, values: str = "", help: str = "") -> str:
    return "\t".join([command, name, skip, str(count), values, help])


def skip(cls: Any, option: Option) -> str:
    """The choices that do not have a flag: "--head:linear,unet" for --head.rates."""
    kind, dot, _ = option.flag.removeprefix("--").partition(".")
    known = choices_of(cls).get(kind, {}) if dot else {}
    without = [name for name, each in known.items() if not has(cls, kind, each, option.flag)]
    return f"--{kind}:{','.join(without)}" if without else ""


def has(cls: Any, kind: str, choice: Any, flag: str) -> bool:
    return any(option.flag == flag for option in describe(cls, {kind: choice}))


def values(option: Option) -> str:
    """The words that may follow a flag."""
    paths = "@path" if any(is_path(kind) for kind in alternatives(option.kind)) else ""
    return " ".join([*map(str, option.choices), VALUES.get(option.name, paths)]).strip()


def is_path(kind: Any) -> bool:
    return kind is Path or (get_origin(kind) is tuple and bare(get_args(kind)[0]) is Path)
