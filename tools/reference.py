"""What the pages of the site take from the code: a Python-Markdown extension that replaces lines such as

<!-- options segment -->         every option of a command that no choice brings
<!-- options head linear -->     the options that --head linear brings
<!-- options data files -->      the options that all data in files have, which `options data voc` leaves out
<!-- views barlow-twins -->      the options of a method's views; `options method` leaves out what VIEWS show
<!-- about head linear -->       the docstring of the class behind it, without its arguments
<!-- numbers attention -->       the docstring of a probe, which names its numbers
<!-- reading attention -->       how to read a probe's figures, and how they mislead
<!-- recipes voc -->             the recipes whose names begin so: header and options
<!-- include CHANGELOG.md -->    a file, or with ## HEADING one section of it
<!-- api load -->                signature and docstring of a public name
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

import twinsight
from twinsight.options.auto import AUTO
from twinsight.options.backbones import TimmOptions
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.describe import Option, describe
from twinsight.options.files import FileOptions
from twinsight.options.help import DIGITS
from twinsight.options.probes import PROBES
from twinsight.probes.captions import CAPTIONS

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"<!-- (\w+) (.+) -->")
VIEWS = ("barlow-twins", "dino")
"""The methods whose views stand for those of all: two of one size, and large and small ones."""
HEADER = ("| option | default | |", "|---|---|---|")


class Expand(Preprocessor):
    def run(self, lines: Iterable[str]) -> list[str]:
        return [out for line in lines for out in expanded(line)]


class Reference(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(Expand(md), "reference", 100)


def makeExtension(**_: object) -> Extension:
    """The name by which Python-Markdown asks a module for its extension."""
    return Reference()


def expanded(line: str) -> list[str]:
    found = LINE.fullmatch(line)
    return FILL[found[1]](found[2]) if found and found[1] in FILL else [line]


def chosen(what: str) -> Any:
    """The dataclass that "head linear" chooses."""
    if what == "backbone timm":
        return TimmOptions  # goes by any name
    if what == "data files":
        return FileOptions
    kind, name = what.split()
    tables = [PROBES] if kind == "probe" else [choices_of(cls).get(kind, {}) for cls in COMMANDS.values()]
    return next(table[name] for table in tables if name in table)


def options(what: str) -> list[str]:
    kind, _, name = what.partition(" ")
    if what in COMMANDS:
        kinds = choices_of(COMMANDS[what])
        listed = [each for each in describe(COMMANDS[what]) if each.section.partition(".")[0] not in kinds]
    else:
        command = f"look {name}" if kind == "probe" else next(c for c in COMMANDS if has(kind, COMMANDS[c]))
        described = describe(COMMANDS[command], {kind: chosen(what)} if kind in choices_of(COMMANDS[command]) else {})
        listed = [each for each in described if each.section.partition(".")[0] == kind]
    rows = [row(each) for each in listed]
    shared: list[str] = []
    if what not in COMMANDS and kind == "data" and name != "files" and issubclass(chosen(what), FileOptions):
        shared = options("data files")
    elif kind == "method":
        shared = [line for each in VIEWS for line in views(each)]
    own = [each for each in rows if each not in shared]
    more = ["The [other options of its views](#views) are those of all methods.", ""] if views_of(listed) else []
    return [*HEADER, *own, "", *more] if own else more or ["It has no options of its own.", ""]


def views(method: str) -> list[str]:
    """Those that the earlier ones of VIEWS do not have."""
    rows = views_of(describe(COMMANDS["pretrain"], {"method": chosen(f"method {method}")}))
    earlier = [line for each in VIEWS[: VIEWS.index(method)] for line in views(each)]
    return [*HEADER, *(each for each in rows if each not in earlier), ""]


def views_of(listed: Iterable[Option]) -> list[str]:
    return [row(each) for each in listed if each.section == "method.views"]


def has(kind: str, cls: Any) -> bool:
    return any(each.section.partition(".")[0] == kind for each in describe(cls)) or kind in choices_of(cls)


def row(option: Option) -> str:
    """Names that one can choose stand in the text; a range only where there are no names."""
    names = [each for each in option.choices if each != AUTO or len(option.choices) > 1]
    takes = ", ".join(f"`{each}`" for each in names) or option.range or option.words
    flag = option.flag.upper() if option.positional else option.flag
    default = f"`{DIGITS.sub('', option.shown_default)}`" if option.shown_default else ""
    return f"| `{flag}` | {default} | {escape(option.help)} ({takes}) |"


def definition(module: str, name: str) -> Any:
    """A class or function, parsed rather than imported: to import a head or a probe loads PyTorch."""
    text = (ROOT / "src" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    return [node for node in ast.parse(text).body if getattr(node, "name", None) == name][-1]  # behind its overloads


def docstring(what: str) -> list[str]:
    """Of the class that options build."""
    return [
        escape(line) for line in (ast.get_docstring(definition(*chosen(what).target.split(":"))) or "").splitlines()
    ]


def about(what: str) -> list[str]:
    paragraphs = "\n".join(docstring(what)).split("\n\n")
    return [*"\n\n".join(each for each in paragraphs if not re.match(r"[a-z_, ]+: |Raises ", each)).splitlines(), ""]


def numbers(probe: str) -> list[str]:
    return [*docstring(f"probe {probe}"), ""]


def reading(probe: str) -> list[str]:
    caption = CAPTIONS[probe]
    notes = (("tip", "How to read it", caption.read), ("warning", "How it misleads", caption.caution))
    return [line for kind, title, text in notes for line in (f'!!! {kind} "{title}"', f"    {text}", "")]


def recipes(prefix: str) -> list[str]:
    lines = []
    for file in sorted((ROOT / "recipes").glob(f"{prefix}-*.yaml")):
        text = file.read_text(encoding="utf-8").splitlines()
        lines += [f"### {file.stem}", ""]
        for line in (each[2:] for each in text if each.startswith("#")):
            label, colon, rest = line.partition(": ")
            new = colon and label in ("Data", "Time", "Expected score")
            lines += ["", f"**{label}.** {escape(rest)}"] if new else [f"  {line}" if line[:1] == " " else escape(line)]
        body = [f"    {each}" for each in text if not each.startswith("#")]
        lines += ["", f'??? note "{file.name}"', "", "    ```yaml", *body, "    ```", ""]
    return lines


def include(what: str) -> list[str]:
    name, _, heading = what.partition(" ")
    text = re.sub(r"\[([^]]+)\]\((?!http|#|docs/)[^)]+\)", r"\1", (ROOT / name).read_text(encoding="utf-8"))
    lines = text.replace("](docs/", "](").splitlines()  # links lead to pages; what is not on the site is only named
    if not heading:
        return lines[1:]  # the page has a title of its own
    start = lines.index(heading)
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"#{1,2} ", lines[i])), len(lines))
    return lines[start:end]


def api(name: str) -> list[str]:
    """A public name: its signature and docstring, and those of its public methods."""
    node = definition(f"twinsight.{twinsight._MODULES[name]}", name)
    own = [each for each in getattr(node, "body", []) if isinstance(each, ast.FunctionDef) and each.name[0] != "_"]
    methods = own if isinstance(node, ast.ClassDef) else []
    return [*documented(node, name), *(line for each in methods for line in documented(each, f"{name}.{each.name}"))]


def documented(node: Any, name: str) -> list[str]:
    """Nothing for overloads, and for what says nothing of itself."""
    marks = [ast.unparse(each) for each in node.decorator_list]
    text = ast.get_docstring(node)
    if not text or "overload" in marks:
        return []
    lines = [f"{'####' if '.' in name else '###'} {name}", ""]
    if isinstance(node, ast.FunctionDef) and "property" not in marks:
        arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
        lines += ["```text", f"{name}({arguments}) -> {ast.unparse(node.returns) if node.returns else None}", "```", ""]
    return [*lines, *google(text.splitlines()), ""]


def google(lines: Iterable[str]) -> Iterator[str]:
    """Google's sections as Markdown: arguments as a list, examples as code."""
    section = ""
    for line in lines:
        if re.fullmatch(r"[A-Z][a-z]+:", line):
            section = line
            yield from (f"**{line[:-1]}**", "")
        elif section in ("Args:", "Attributes:") and (item := re.match(r"    ([\w*]+): (.*)", line)):
            yield f"- `{item[1]}`: {item[2]}"
        else:
            yield (
                line if section.startswith("Example") else line.strip() if section in ("Returns:", "Raises:") else line
            )


def escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


FILL: dict[str, Callable[[str], list[str]]] = {
    each.__name__: each for each in (options, views, about, numbers, reading, recipes, include, api)
}
