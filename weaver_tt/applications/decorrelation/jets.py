"""The jets that a map of thresholds is made of, judged on or applied to: their values by role.

A row of a file is a jet; R rows of a chunk.

rho = ln(m^2 / pT^2) is the variable in which the spectrum of QCD jets changes little with pT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.row_values import Floats, columns_of, parse_sources, values_by_role
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges

Booleans = npt.NDArray[np.bool_]
RHO = "rho"
PT = "pt"
SCORE = "discriminant"
MASS = "mass"
WEIGHT = "weight"
BACKGROUND = "background"
SELECTION = "selection"
HINT = "--selection leaves such jets out"


def rho_of(mass: str, pt: str) -> str:
    """The expression of rho = ln(m^2 / pT^2), of the expressions of both."""
    return f"2*np.log(({mass})/({pt}))"


@dataclass(frozen=True, kw_only=True)
class JetSources:
    """What is read of a jet: ``by_role``, role -> column or expression of columns.

    ``selection``: expression that is not 0 for the jets that count (None: all).
    """

    by_role: Mapping[str, str]
    selection: str | None = None

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The expression of each role, and of the selection."""
        chosen = {} if self.selection is None else {SELECTION: self.selection}
        return parse_sources({**self.by_role, **chosen})

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are needed."""
        return columns_of(self.expressions)

    def values(self, table: Mapping[str, Any]) -> tuple[dict[str, Floats], Booleans]:
        """Values by role of the rows that are selected, and which of the R rows these are.

        Raises:
            DataError: a mass or pT of a selected row is not above 0, or a value is not finite.
        """
        values = values_by_role(self.expressions, table)
        number = len(next(iter(values.values())))
        chosen = values.pop(SELECTION, np.ones(number)) != 0
        values = {role: column[chosen] for role, column in values.items()}
        for role in (PT, MASS):
            if role in values:
                self._check(role, values[role], values[role] > 0, "above 0")
        for role, column in values.items():
            expected = "finite"
            if role == RHO:
                expected = "finite, for which the mass must be above 0"
            self._check(role, column, np.ones(len(column), bool), expected)
        return values, chosen

    def _check(self, role: str, column: Floats, good: Booleans, expected: str) -> None:
        good = good & np.isfinite(column)
        if not good.all():
            first = float(column[np.argmin(good)])
            raise DataError(
                f"{self.by_role[role]!r} ({role}): {int((~good).sum()):,} of {len(good):,} jets "
                f"are not {expected} (first: {first:g}); {HINT}"
            )


@dataclass(frozen=True, kw_only=True)
class Jets:
    """Background jets, J of them, in the order of their files."""

    rho: Floats
    pt: Floats  # GeV
    mass: Floats  # GeV
    score: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.rho)

    def take(self, chosen: Booleans) -> Jets:
        """The jets that are chosen (J,)."""
        names = ("rho", "pt", "mass", "score", "weight")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def read_background(paths: Sequence[str], sources: JetSources, treename: str | None) -> Jets:
    """The background jets of all files: 40 bytes each are kept.

    Raises:
        DataError: a file cannot be read, a column is missing, a value is impossible, or there is
            no background.
    """
    by_role = dict(sources.by_role)
    selection = by_role.pop(BACKGROUND)
    if sources.selection is not None:
        selection = f"({sources.selection}) & ({selection})"
    of_background = JetSources(by_role=by_role, selection=selection)
    found: dict[str, list[Floats]] = {}
    for path in paths:
        with open_reader(path, treename) as reader:
            columns = reader.resolve(of_background.columns)
            for first, last in row_ranges(reader.clusters(columns)):
                table = reader.read(of_background.columns, first, last)
                try:
                    values, _ = of_background.values(table)
                except DataError as error:
                    raise DataError(f"{reader.place}, rows from {first}: {error}") from error
                for role, column in values.items():
                    found.setdefault(role, []).append(column)
    joined = {role: np.concatenate(columns) for role, columns in found.items()}
    if not joined or not len(joined[RHO]):
        raise DataError(
            f"{', '.join(paths)}: not one row is background "
            f"({of_background.selection} is nowhere true)"
        )
    return Jets(
        rho=joined[RHO],
        pt=joined[PT],
        mass=joined[MASS],
        score=joined[SCORE],
        weight=joined.get(WEIGHT, np.ones(len(joined[RHO]))),
    )


def any_of(columns: Sequence[str]) -> str:
    """The expression that is true where one of the class columns is 1."""
    return " | ".join(f"({name} == 1)" for name in columns)
