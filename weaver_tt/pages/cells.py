"""Cells of tables: numbers with their errors, and the best of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from weaver_tt.metrics.direction import Direction
from weaver_tt.system.wording import counted, decimals_of

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell of a table says; words stand to the left, numbers to the right."""

    text: str
    detail: str = ""  # what is less important than the text before it, such as an error
    is_best: bool = False
    is_words: bool = False

    @property
    def style(self) -> str:
        """The names by which the style sheet knows it."""
        names = {"best": self.is_best, "words": self.is_words}
        return " ".join(name for name, holds in names.items() if holds)


Row = Sequence[str | Cell]
Column = tuple[str, Row]  # its title, and a cell for each row


def words_cell(lines: Sequence[str]) -> Cell:
    """Words instead of a number, such as names of files, one a line."""
    return Cell(Markup("<br>").join(lines), is_words=True)


def number_cell(number: Mapping[str, Any], sign: bool = False) -> Cell:
    """``value ± error`` with two digits of the error, or ``> limit``; a dash for the unknown.

    ``number`` has ``value`` and ``error``, perhaps ``at_least``. Of several ``trainings`` their
    ``spread`` follows.
    """
    value = number["value"]
    error = number["error"]
    if value is None:
        limit = number.get("at_least")
        # three digits, and none as a power of ten
        return Cell(f"> {float(f'{limit:.3g}'):,g}" if limit else UNKNOWN)
    plus = "+" if sign else ""
    # nothing fluctuates where all entries agree, and an unknown error is None
    if not error:
        return Cell(f"{value:{plus}z.4g}")
    digits = decimals_of(error)
    detail = f"± {error:.{digits}f}"
    spread = number.get("spread")
    if spread:
        trainings = counted(number["trainings"], "training")
        detail += f" ± {spread:.{decimals_of(spread)}f} ({trainings})"
    # z: no -0, which a small number is rounded to
    return Cell(f"{value:{plus}z.{digits}f}", detail)


def mark_best(
    values: Sequence[float | None], cells: Sequence[Cell], direction: Direction | None
) -> list[Cell]:
    """The cells of one metric, a model each, with the best of their ``values`` marked.

    None is marked where there is one model, or where one of the values is not known.
    """
    known = [value for value in values if value is not None]
    # an unknown value may be the best of all: a rejection with no background left has none
    if direction is None or len(values) < 2 or len(known) < len(values):
        return list(cells)
    best = direction.best(known)
    return [replace(cell, is_best=value == best) for value, cell in zip(values, cells, strict=True)]


def best_numbers(
    numbers: Sequence[Mapping[str, Any]], direction: Direction | None, sign: bool = False
) -> list[Cell]:
    """Cells of one metric of several models (see :func:`number_cell`), the best one marked."""
    values = [number["value"] for number in numbers]
    return mark_best(values, [number_cell(number, sign) for number in numbers], direction)
