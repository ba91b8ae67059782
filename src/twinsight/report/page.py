"""One self-contained HTML page: text, tables and figures, nothing from outside."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import jinja2

from twinsight.run import write_text


@dataclass(frozen=True)
class Table:
    """header: names of the columns; rows: cells, numbers already formatted; note: one line below."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """file: PNG or SVG; alt: what it shows; read: how to read it; caution: how it can mislead."""

    file: Path
    alt: str
    read: str
    caution: str = ""

    @property
    def source(self) -> str:
        kind = {".svg": "image/svg+xml", ".png": "image/png"}[self.file.suffix]
        return f"data:{kind};base64,{base64.b64encode(self.file.read_bytes()).decode()}"


@dataclass(frozen=True)
class Section:
    heading: str
    text: str = ""
    parts: Sequence[Table | Picture] = ()
    commands: Sequence[str] = field(default_factory=tuple)


def write_page(file: Path, title: str, lead: str, sections: Sequence[Section], facts: str = "") -> None:
    """Write the page; facts: machine and versions, one a line."""
    template = jinja2.Environment(autoescape=True).from_string(
        files("twinsight.report").joinpath("page.html").read_text(encoding="utf-8")
    )
    html = template.render(title=title, lead=lead, sections=sections, facts=facts)
    write_text(file, html)
