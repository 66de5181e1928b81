"""HTML pages that need no other file: what is on one, and how it becomes text.

A page is sections of blocks: tables, notes, alerts and galleries. How they look is in
``page.html``, ``blocks.html`` and ``page.css`` beside this module. Text is escaped, unless it is
``Markup``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from weaver_tt import __version__
from weaver_tt.pages.cells import Cell, Column, Row
from weaver_tt.pages.pictures import Picture


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose rows begin with their titles; ``caption`` says what it is of."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Row]
    caption: str = ""

    def holds_words(self, column: int) -> bool:
        """Whether a column has words, which stand to the left, and not numbers."""
        cells = [row[column] for row in self.rows]
        return any(isinstance(cell, Cell) and cell.is_words for cell in cells)

    @classmethod
    def of_columns(
        cls,
        titles: Iterable[str],
        columns: Sequence[Column],
        caption: str = "",
    ) -> Table:
        """A table from its columns, titles and cells; ``titles`` are those of the rows."""
        head = [title for title, _ in columns]
        rows = []
        for place, title in enumerate(titles):
            rows.append([title, *(cells[place] for _, cells in columns)])
        return cls(head=["", *head], rows=rows, caption=caption)


@dataclass(frozen=True)
class Note:
    """A paragraph, such as what the numbers of a table mean."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Alert:
    """A paragraph that must not be overlooked."""

    kind: ClassVar[str] = "alert"
    text: str


@dataclass(frozen=True)
class Gallery:
    """Figures with their captions, side by side where there is room.

    ``index``: what each is called in a paragraph of links above them; perhaps none.
    """

    kind: ClassVar[str] = "gallery"
    pictures: Sequence[Picture]
    index: Sequence[str] = ()


Block = Table | Note | Alert | Gallery


@dataclass(frozen=True)
class Section:
    """Blocks below a title, and sections inside; each has its line in the table of contents."""

    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: its title, what it is about, what must be known first, and its sections."""

    title: str
    about: str
    alerts: Sequence[Alert] = ()
    sections: Sequence[Section]


def render_page(page: Page) -> str:
    """The page as HTML."""
    return _template().render(page=page, version=__version__)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        # a misspelt name is an error and not an empty place
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")
