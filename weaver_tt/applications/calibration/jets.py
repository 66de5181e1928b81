"""The jets that a tagger is calibrated with: values of rows, read in chunks.

A row of a file is a jet; R rows of a chunk are left after the selection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.calibration.categories import Category
from weaver_tt.applications.calibration.kinematic_bins import Integers, KinematicBins
from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.row_values import Floats, columns_of, parse_sources, values_by_role
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges

Booleans = npt.NDArray[np.bool_]
TAG = "tag"
VARIABLE = "variable"
WEIGHT = "weight"
SELECTION = "selection"
CATEGORY = "category"
CONDITIONS = (SELECTION, CATEGORY)
AXIS = "axis {}"
HINT = "--selection leaves such jets out"


@dataclass(frozen=True)
class Jets:
    """R jets: whether they pass, the kinematic bin of each (-1: none), variable and weight."""

    passes: Booleans
    bin: Integers
    variable: Floats
    weight: Floats


@dataclass(frozen=True, kw_only=True)
class JetSources:
    """Expressions of what is read of a jet; ``weight`` None: all 1, ``selection`` None: all rows.

    ``variable`` None: none is needed.
    """

    tag: str
    bins: KinematicBins
    variable: str | None = None
    weight: str | None = None
    selection: str | None = None

    def by_role(self, category: Category) -> dict[str, str]:
        """Role -> expression, for the jets of a category."""
        sources = {
            TAG: self.tag,
            VARIABLE: self.variable,
            WEIGHT: self.weight,
            SELECTION: self.selection,
            CATEGORY: category.condition,
        }
        for number, axis in enumerate(self.bins.axes):
            sources[AXIS.format(number)] = axis.source
        return {role: source for role, source in sources.items() if source is not None}


@dataclass(frozen=True)
class _Columns:
    """How the jets of one category are made of columns."""

    sources: JetSources
    category: Category

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        return parse_sources(self.sources.by_role(self.category))

    def jets(self, table: Mapping[str, Any]) -> Jets:
        """The jets of a chunk that are selected.

        Raises:
            DataError: a value of a selected jet is not finite.
        """
        values = values_by_role(self.expressions, table)
        chosen = np.ones(len(values[TAG]), bool)
        for role in CONDITIONS:
            if role in values:
                chosen &= values.pop(role) != 0
        values = {role: column[chosen] for role, column in values.items()}
        for role, column in values.items():
            self._check_finite(role, column)
        rows = int(chosen.sum())
        axes = [values[AXIS.format(number)] for number in range(len(self.sources.bins.axes))]
        return Jets(
            passes=values[TAG] != 0,
            bin=self.sources.bins.find(axes, rows),
            variable=values.get(VARIABLE, np.zeros(rows)),
            weight=values.get(WEIGHT, np.ones(rows)),
        )

    def _check_finite(self, role: str, column: Floats) -> None:
        good = np.isfinite(column)
        if not good.all():
            first = float(column[np.argmin(good)])
            raise DataError(
                f"{self.expressions[role].source!r} ({role}): {int((~good).sum()):,} of "
                f"{len(good):,} jets are not finite (first: {first:g}); {HINT}"
            )


def stream_jets(
    category: Category, sources: JetSources, treename: str | None, paths: Sequence[str] = ()
) -> Iterator[Jets]:
    """Chunks of the jets of a category, or of other ``paths`` with the same condition.

    Raises:
        DataError: a file cannot be read, a column is missing, or a value is not finite.
    """
    made = _Columns(sources, category)
    for path in paths or category.paths:
        with open_reader(path, treename) as reader:
            needed = columns_of(made.expressions)
            for first, last in row_ranges(reader.clusters(reader.resolve(needed))):
                table = reader.read(needed, first, last)
                try:
                    yield made.jets(table)
                except DataError as error:
                    raise DataError(f"{reader.place}, rows from {first}: {error}") from error
