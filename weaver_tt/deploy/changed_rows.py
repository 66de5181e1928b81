"""Rows that an export is judged on: real ones, and real ones changed in a stated way.

What is changed is a column of the file, so that selections of objects and new variables see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.data.rows.table import Table
from weaver_tt.system.wording import counted

REAL = "real"
OVER_LONG = "over-long"
NAN = "NaN"
INFINITY = "infinity"
SENTINEL = "sentinel"
TWICE = "a particle twice"
EMPTY = "empty"
KINDS = (REAL, OVER_LONG, NAN, INFINITY, SENTINEL, TWICE, EMPTY)

# rows in all, at least; real ones among them; of each kind of change
MIN_ROWS = 30
REAL_ROWS = 20
CHANGED_ROWS = 3

SENTINEL_VALUE = -999
MOST_JOINED = 1000  # rows whose objects are put into one


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of raw columns, (1,) each; ``change`` says what was done to a real one.

    ``has_twins``: whether an object comes several times, so that its neighbours are not unique.
    """

    kind: str
    change: str
    columns: Table
    has_twins: bool = False


def real_rows(raw: Table, rows: Sequence[int]) -> list[RawRow]:
    """Some of ``rows``, spread over all of them: the classes may come one after another."""
    number = min(REAL_ROWS, len(rows))
    places = np.linspace(0, len(rows) - 1, number).round().astype(int)
    return [RawRow(REAL, "as it is in the file", take_row(raw, rows[place])) for place in places]


def take_row(raw: Table, row: int) -> Table:
    """One row of all columns, (1,) each."""
    return {name: values[row : row + 1] for name, values in raw.items()}


def without_objects(raw: Table, row: int) -> RawRow:
    """A row of which all lists are empty."""
    columns = {}
    for name, values in take_row(raw, row).items():
        columns[name] = values[:, :0] if _is_list(values) else values
    return RawRow(EMPTY, "all of its objects are taken away", columns)


def empty_in_file(raw: Table, row: int) -> RawRow:
    """A row that has no object in the file."""
    return RawRow(EMPTY, "as it is in the file", take_row(raw, row))


def collections_of(raw: Table) -> list[list[str]]:
    """The columns of lists, those with equally many entries in every row together."""
    found: dict[bytes, list[str]] = {}
    for name, values in raw.items():
        if _is_list(values):
            counts = np.asarray(ak.num(values, axis=1), np.int64)
            found.setdefault(counts.tobytes(), []).append(name)
    return list(found.values())


def _is_list(values: Any) -> bool:
    return isinstance(values, ak.Array) and values.ndim > 1


def _kind_of_numbers(values: Any) -> str:
    """``f``, ``i``, ``u`` or ``b`` for numbers, or lists of them; "" for all else."""
    array = ak.Array(values)
    if array.ndim > 2:
        return ""
    flat = ak.flatten(array) if array.ndim == 2 else array
    layout = ak.to_packed(flat).layout
    return layout.dtype.kind if layout.is_numpy else ""


class Changes:
    """Changes of the real ``rows`` of ``raw``, the i-th of each kind.

    They are None where these columns do not allow it; ``longest`` is the number of objects that no
    input takes more of.
    """

    def __init__(self, raw: Table, rows: Sequence[int], longest: int) -> None:
        self.raw = raw
        self.rows = rows
        self.longest = longest
        self.collections = collections_of(raw)
        kinds = {}
        for name, values in raw.items():
            # a mask is no measurement: it is 1 for each object
            if "_mask" not in name:
                kinds[name] = _kind_of_numbers(values)
        self.floats = [name for name, kind in kinds.items() if kind == "f"]
        self.signed = [name for name, kind in kinds.items() if kind in ("f", "i")]

    @property
    def makers(self) -> dict[str, Callable[[int], RawRow | None]]:
        """Kind -> what makes the i-th row of it."""
        return {
            OVER_LONG: self.over_long,
            NAN: self.nan,
            INFINITY: self.infinity,
            SENTINEL: self.sentinel,
            TWICE: self.twice,
        }

    def nan(self, i: int) -> RawRow | None:
        """A number is NaN."""
        return self._value(NAN, self.floats, i, np.nan)

    def infinity(self, i: int) -> RawRow | None:
        """A number is infinite, of one sign or the other."""
        value = -np.inf if i % 2 else np.inf
        # in other columns than the NaN of the same round
        return self._value(INFINITY, self.floats, i + CHANGED_ROWS, value)

    def sentinel(self, i: int) -> RawRow | None:
        """A number is what stands for a missing one in many files."""
        return self._value(SENTINEL, self.signed, i + 2 * CHANGED_ROWS, SENTINEL_VALUE)

    def twice(self, i: int) -> RawRow | None:
        """An object comes a second time, right behind itself."""
        found = self._with_objects(i)
        if found is None:
            return None
        row, names = found
        columns = take_row(self.raw, row)
        count = len(columns[names[0]][0])
        place = i % count
        order = np.sort(np.r_[np.arange(count), place])
        for name in names:
            columns[name] = columns[name][:, order]
        change = f"object {place} of {_some(names)} comes twice"
        return RawRow(TWICE, change, columns, has_twins=True)

    def over_long(self, i: int) -> RawRow | None:
        """Objects of the rows behind are appended until there are more than any input takes."""
        found = self._with_objects(i)
        if found is None:
            return None
        row, names = found
        start = self.rows.index(row)
        counts = np.asarray(ak.num(self.raw[names[0]], axis=1))
        joined: list[int] = []
        total = 0
        for step in range(MOST_JOINED):
            # none comes twice, as long as there are enough
            other = self.rows[(start + step) % len(self.rows)]
            joined.append(other)
            total += int(counts[other])
            if total > self.longest:
                break
        else:
            return None
        columns = take_row(self.raw, row)
        for name in names:
            values = self.raw[name][joined]
            columns[name] = ak.unflatten(ak.flatten(values, axis=1), [total])
        change = f"objects of {counted(len(joined), 'row')} in {_some(names)}: {total}"
        has_twins = len(set(joined)) < len(joined)
        if has_twins:
            change += ", some of them several times"
        return RawRow(OVER_LONG, change, columns, has_twins)

    def _with_objects(self, i: int) -> tuple[int, list[str]] | None:
        """A row from the i-th on, and a collection of which it has an object."""
        for step in range(len(self.rows)):
            row = self.rows[(i + step) % len(self.rows)]
            for turn in range(len(self.collections)):
                names = self.collections[(i + turn) % len(self.collections)]
                if len(self.raw[names[0]][row]):
                    return row, names
        return None

    def _value(self, kind: str, names: Sequence[str], i: int, value: float) -> RawRow | None:
        """One number of one of the columns ``names`` becomes ``value``."""
        for step in range(len(names) * len(self.rows)):
            name = names[(i + step) % len(names)]
            row = self.rows[(i + step // len(names)) % len(self.rows)]
            columns = take_row(self.raw, row)
            values = columns[name]
            if not _is_list(values):
                changed = np.array(values)
                if not _fits(changed, value):
                    continue
                changed[0] = value
                columns[name] = ak.Array(changed)
                return RawRow(kind, f"{name} is {value:g}", columns)
            content = np.array(ak.flatten(values))
            if not len(content) or not _fits(content, value):
                continue
            place = i % len(content)
            content[place] = value
            columns[name] = ak.unflatten(content, [len(content)])
            return RawRow(kind, f"{name} of object {place} is {value:g}", columns)
        return None


def _fits(values: npt.NDArray[Any], value: float) -> bool:
    return values.dtype.kind == "f" or np.iinfo(values.dtype).min <= value


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
