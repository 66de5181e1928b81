"""Values of jets by role (pt, eta, gen_pt, ...), from columns or expressions of columns.

A row of a file is a jet; R rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.row_values import columns_of, parse_sources, values_by_role
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.physics.jet_curves import Floats


@dataclass(frozen=True, kw_only=True)
class JetFiles:
    """Files of jets, and what is read of them: ``sources``, role -> column or expression."""

    paths: Sequence[str]
    sources: Mapping[str, str]
    treename: str | None = None

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The expression of each role."""
        return parse_sources(self.sources)

    def chunks(self) -> Iterator[dict[str, Floats]]:
        """Values (R,) by role, of all files in order.

        Raises:
            DataError: a file cannot be read, a column is missing, a pT is not above 0, or another
                value is not finite.
        """
        columns = columns_of(self.expressions)
        for path in self.paths:
            with open_reader(path, self.treename) as reader:
                for first, last in row_ranges(reader.clusters(columns)):
                    table = reader.read(columns, first, last)
                    try:
                        values = values_by_role(self.expressions, table)
                        check_values(values, self.sources)
                    except DataError as error:
                        raise DataError(f"{reader.place}, rows from {first}: {error}") from error
                    yield values


def has_columns(paths: Sequence[str], sources: Mapping[str, str], treename: str | None) -> bool:
    """Whether all files have what ``sources`` are made of.

    Raises:
        DataError: a file cannot be read.
    """
    columns = columns_of(parse_sources(sources))
    for path in paths:
        with open_reader(path, treename) as reader:
            if not all(name in reader for name in columns):
                return False
    return True


def check_values(values: Mapping[str, Floats], sources: Mapping[str, str]) -> None:
    """Raise DataError where a pT is not above 0, or another value is not finite."""
    for role, numbers in values.items():
        good = np.isfinite(numbers)
        expected = "finite"
        if role.endswith("pt"):
            good &= numbers > 0
            expected = "above 0"
        if not good.all():
            first = float(numbers[np.argmin(good)])
            raise DataError(
                f"{sources[role]!r} ({role}): {int((~good).sum())} of {len(good)} values are not "
                f"{expected} (first: {first:g})"
            )
