"""One self-contained HTML page of text, tables and figures; loads nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import jinja2

from twinsight.files import write_text
from twinsight.report.embed import embed

MISSING = ("", "-")
"""Cells without a value, which sort last."""


@dataclass(frozen=True)
class Table:
    """header: names of the columns; rows: cells, numbers already formatted; note: one line below."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers, which are right-aligned."""
        return [all(is_number(cell) for cell in column if cell not in MISSING) for column in zip(*self.rows)]


@dataclass(frozen=True)
class Picture:
    """file: PNG, JPEG, SVG or GIF; alt: what it shows; read: how to read it; caution: how it can
    mislead; title: heading; narrow: the same for narrow screens.
    """

    file: Path
    alt: str
    read: str = ""
    caution: str = ""
    title: str = ""
    narrow: Path | None = None


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind under one caption, side by side as far as there is room."""

    pictures: Sequence[Picture]
    read: str = ""
    caution: str = ""


@dataclass(frozen=True)
class Fold:
    """Content that is hidden until its label is clicked."""

    label: str
    parts: Sequence["Part"]


Part = Table | Picture | Gallery | Fold


@dataclass(frozen=True)
class Section:
    heading: str
    text: str = ""
    parts: Sequence[Part] = ()
    commands: Sequence[str] = field(default_factory=tuple)


def write_page(file: Path, title: str, lead: str, sections: Sequence[Section], facts: str = "") -> None:
    """Write the page; facts: machine and versions, one per line.

    Figures are embedded; if the page would exceed 20 MB, they are compressed or left out, and the page says so. Raises
    UserError for a figure that cannot be read.
    """
    shown = [picture for section in sections for picture in pictures(section.parts, folded=False)]
    folded = [picture for section in sections for picture in pictures(section.parts, folded=True)]
    embedded = [file for picture in shown + folded for file in (picture.file, picture.narrow) if file is not None]
    figures, lost = embed(embedded)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("twinsight.report").joinpath("page.html").read_text(encoding="utf-8"))
    write_text(
        file, template.render(title=title, lead=lead, sections=sections, facts=facts, figures=figures, lost=lost)
    )


def pictures(parts: Sequence[Part], folded: bool) -> Iterator[Picture]:
    """The visible ones, or those inside folds."""
    for part in parts:
        if isinstance(part, Fold):
            if folded:
                yield from pictures(part.parts, folded=False)
        elif not folded and isinstance(part, Picture | Gallery):
            yield from part.pictures if isinstance(part, Gallery) else [part]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
