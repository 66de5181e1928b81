"""Entries of two samples: rows, or the objects of rows, with all that is known of each.

R rows of a chunk, M entries in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import fill_missing
from weaver_tt.expressions.evaluate import Expression, evaluate
from weaver_tt.expressions.row_values import columns_of, parse_sources
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EntrySources:
    """What is read of each entry: role -> column or expression of columns.

    The first role says what the entries are: rows, or with lists the objects of rows. Others have
    as many values, or one for each row, which all of its objects have.
    """

    by_role: Mapping[str, str]

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """The expression of each role."""
        return parse_sources(self.by_role)

    def values(self, table: Mapping[str, Any]) -> tuple[dict[str, Floats], Integers]:
        """Values (M,) by role, and the number of entries of each of the R rows.

        Raises:
            DataError: an expression gives neither a number for each entry nor for each row.
        """
        columns = {}
        for role, expression in self.expressions.items():
            columns[role] = ak.Array(fill_missing(evaluate(expression, table)))
        first = next(iter(columns.values()))
        has_lists = first.ndim == 2
        counts = np.ones(len(first), np.int64)
        if has_lists:
            counts = ak.to_numpy(ak.num(first)).astype(np.int64)
        values = {}
        for role, column in columns.items():
            if column.ndim == 2 and has_lists:
                if not np.array_equal(ak.to_numpy(ak.num(column)), counts):
                    raise DataError(f"{self._named(role)} has another number of objects in a row")
                flat = ak.to_numpy(ak.flatten(column))
            elif column.ndim == 1:
                flat = np.repeat(ak.to_numpy(column), counts)
            else:
                kind = "a number for each object" if has_lists else "one number for each row"
                raise DataError(f"{self._named(role)} must give {kind}, its type is {column.type}")
            values[role] = flat.astype(np.float64)
        return values, counts

    def _named(self, role: str) -> str:
        source = self.by_role[role]
        return repr(source) if source == role else f"{source!r} ({role})"


@dataclass(frozen=True)
class Entries:
    """M entries: ``values`` (M,) by role; ``row`` (M,) numbers the rows, which rises."""

    values: Mapping[str, Floats]
    row: Integers

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, role: str) -> Floats:
        return self.values[role]

    def take(self, chosen: Bools) -> Entries:
        """The entries that are chosen (M,)."""
        values = {role: column[chosen] for role, column in self.values.items()}
        return replace(self, values=values, row=self.row[chosen])


def random_half(row: Integers, seed: int = 0) -> Bools:
    """Which entries (M,) are of one half of the rows; entries of one row stay together."""
    number = int(row.max(initial=-1)) + 1
    return np.random.default_rng(seed).random(number)[row] < 0.5


def read_entries(paths: Sequence[str], sources: EntrySources, treename: str | None) -> Entries:
    """All entries of the files: 8 bytes for each role are kept.

    Raises:
        DataError: a file cannot be read, a column is missing, or a value is not as expected.
    """
    names = columns_of(sources.expressions)
    found: dict[str, list[Floats]] = {role: [] for role in sources.by_role}
    rows: list[Integers] = []
    first_row = 0
    for path in paths:
        with open_reader(path, treename) as reader:
            for first, last in row_ranges(reader.clusters(reader.resolve(names))):
                table = reader.read(names, first, last)
                try:
                    values, counts = sources.values(table)
                except DataError as error:
                    raise DataError(f"{reader.place}, rows from {first}: {error}") from error
                for role, column in values.items():
                    found[role].append(column)
                rows.append(np.repeat(first_row + np.arange(len(counts)), counts))
                first_row += len(counts)
    nothing = [np.zeros(0)]
    joined = {role: np.concatenate(nothing + columns) for role, columns in found.items()}
    return Entries(joined, np.concatenate([np.zeros(0, np.int64), *rows]))
