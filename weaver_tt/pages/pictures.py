"""Figures as files, with the captions that they have on a page."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


WIDE = 9.0  # inches; of a wider figure the panels are legible in the whole width of a page alone
CaptionedFigure = tuple[str, str, "Figure"]  # name of the file, caption, and what is drawn


@dataclass(frozen=True)
class Picture:
    """The file of a figure (PNG), beside which lies its PDF, and its caption."""

    path: Path
    caption: str
    is_wide: bool = False

    @property
    def data(self) -> str:
        """The image itself as an address, so that a page can be sent around as one file."""
        return f"data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}"

    @property
    def pdf(self) -> str:
        """The name of the PDF."""
        return self.path.with_suffix(".pdf").name


def file_stem(name: str) -> str:
    """The name of a file for ``name``, which may hold anything: other characters become ``_``."""
    return re.sub(r"[^\w.+-]+", "_", name)


def write_picture(
    name: str, caption: str, figure: Figure, folder: Path, few_colors: bool = False
) -> Picture:
    """Write a figure as PNG and PDF; ``name`` may hold anything.

    ``few_colors`` as in :func:`weaver_tt.figures.base.save_figure`.

    Raises:
        OutputError: one of them cannot be written.
    """
    from weaver_tt.figures.base import save_figure

    # names of models and columns may hold anything
    path = folder / file_stem(name)
    save_figure(figure, path, few_colors)
    width, _ = figure.get_size_inches()
    return Picture(path.with_name(path.name + ".png"), caption, is_wide=width > WIDE)


def write_pictures(figures: Iterable[CaptionedFigure], folder: Path) -> list[Picture]:
    """Write figures as PNG and PDF, one after the other.

    Raises:
        OutputError: one of them cannot be written.
    """
    return [write_picture(*captioned, folder) for captioned in figures]
