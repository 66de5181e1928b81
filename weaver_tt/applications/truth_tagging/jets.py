"""Columns of jets read in chunks, as flat arrays: what the map and the closure are filled from.

N events of a chunk, M jets in all of them, one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan, make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.row_independence import check_row_independence
from weaver_tt.data.rows.table import Table, evaluate_column, make_table, read_columns
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.expressions.elementwise import fill_missing
from weaver_tt.expressions.row_values import check_weights
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.physics.particles import flavour_index

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WEIGHT = "event weight"  # no data YAML can name a column so


@dataclass(slots=True)
class JetTable:
    """The jets of N events, made of ``rows`` rows of the file.

    ``columns`` (M,) by role (pt, eta, …), ``counts`` (N,) jets of each event, ``weight`` (N,) of
    the events.
    """

    columns: dict[str, Floats]
    counts: Integers
    weight: Floats
    rows: int

    def __getitem__(self, role: str) -> Floats:
        return self.columns[role]

    def __contains__(self, role: str) -> bool:
        return role in self.columns

    @property
    def flavour(self) -> Integers:
        """(M,) index into ``FLAVOURS``."""
        return flavour_index(self.columns["flavour"].astype(np.int64))

    @property
    def jet_weight(self) -> Floats:
        """(M,) each jet's event weight."""
        return np.repeat(self.weight, self.counts)

    def leading(self, number: int) -> Integers:
        """Places (N', number) of the jets with the highest pT, highest first.

        Of the N' events that have that many.
        """
        event = np.repeat(np.arange(len(self.counts)), self.counts)
        # by event, then by falling pT; stable, so that jets already in order stay as they are
        order = np.lexsort((-self.columns["pt"], event))
        starts = np.cumsum(self.counts) - self.counts
        starts = starts[self.counts >= number]
        return order[starts[:, None] + np.arange(number)]


@dataclass(frozen=True, kw_only=True)
class JetFiles:
    """Files of jets and what to read from them.

    ``names``: role (pt, eta, phi, mass, flavour, tag, efficiency, truth) -> column with one value a
    jet; ``optional``: the same for columns that are read if all files have them; ``weight``: column
    of event weights (None: all 1). With ``config`` the columns are those that its data YAML makes
    of the files, after its selections, and the weights are its ``event_weight``.

    Raises:
        ConfigError: the rows of ``config`` are objects, while jets are weighted by events here.
    """

    paths: Sequence[str]
    names: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    weight: str | None = None
    treename: str | None = None
    config: DataConfig | None = None

    def __post_init__(self) -> None:
        if self.config is not None and self.config.rows is not None:
            raise ConfigError(
                f"{self.config.source}: rows: expected events with lists of jets, not "
                f"{self.config.rows.name} by {self.config.rows.name}; leave `rows` out"
            )

    def __str__(self) -> str:
        return ", ".join(self.paths)

    def open(self, path: str) -> Reader:
        """One of the files."""
        treename = self.treename
        if not treename and self.config is not None:
            treename = self.config.treename
        return open_reader(path, treename)


def stream_jets(source: JetFiles) -> Iterator[JetTable]:
    """Chunks of all files in order.

    Raises:
        DataError: a column is missing, columns disagree on the number of jets, or a tag is neither
            0 nor 1.
    """
    columns = dict(source.names)
    if source.optional:
        present = set.intersection(*(_column_names(source, path) for path in source.paths))
        for role, name in source.optional.items():
            if name in present:
                columns[role] = name
    for path in source.paths:
        for rows, table in _tables(source, path, list(columns.values())):
            yield _make_jets(table, columns, path, rows)


def first_chunks(source: JetFiles) -> tuple[list[JetTable], float]:
    """The first chunk of each file, and the share of all rows that they hold."""
    total_rows = 0
    chunk_rows = 0
    chunks = []
    for path in source.paths:
        with source.open(path) as reader:
            total_rows += reader.rows()
        jets = next(stream_jets(replace(source, paths=[path])), None)
        if jets is None:
            continue
        chunks.append(jets)
        chunk_rows += jets.rows
    return chunks, chunk_rows / max(total_rows, 1)


def weighted_counts(place: Integers, weight: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum of weights in each bin of a histogram of ``shape``, by their flat places (M,)."""
    summed = np.bincount(place, weight, math.prod(shape))
    return np.asarray(summed, np.float64).reshape(shape)


def _column_names(source: JetFiles, path: str) -> set[str]:
    with source.open(path) as reader:
        return set(reader.columns())


def _tables(source: JetFiles, path: str, columns: Sequence[str]) -> Iterator[tuple[int, Table]]:
    """Columns of a file, chunk by chunk, each with the number of rows read for it.

    With the event weight, if there is one, as column ``WEIGHT``.
    """
    if source.config is not None:
        yield from _computed_tables(source, source.config, path, columns)
        return
    # a column with two roles, or with one beside the weight, is read once
    stored = list(dict.fromkeys(columns))
    if source.weight and source.weight not in stored:
        stored.append(source.weight)
    with source.open(path) as reader:
        for first, last in row_ranges(reader.clusters(stored)):
            table = reader.read(stored, first, last)
            if source.weight:
                table = {**table, WEIGHT: table[source.weight]}
            yield last - first, table


def _computed_tables(
    source: JetFiles, config: DataConfig, path: str, columns: Sequence[str]
) -> Iterator[tuple[int, Table]]:
    """The same of what a data YAML makes of a file for training."""
    plan = make_plan(config, "train")
    with source.open(path) as reader:
        for first, last in row_ranges(reader.clusters()):
            table = _computed_table(reader, plan, config, path, (first, last))
            if len(next(iter(table.values()))) == 0:
                # no row passed the selection
                continue
            for name in columns:
                if name not in table:
                    raise ConfigError(
                        f"{config.source}: no column {name!r} is made for training; "
                        f"{nearest(name, table)}"
                    )
            chosen = {name: table[name] for name in columns}
            if config.event_weight is not None:
                where = f"{path}: event_weight"
                chosen[WEIGHT] = evaluate_column(config.event_weight, table, where)
            yield last - first, chosen


def _computed_table(
    reader: Reader, plan: Plan, config: DataConfig, path: str, rows: tuple[int, int]
) -> Table:
    """All columns that a data YAML makes of a range of rows."""
    stored = read_columns(reader, plan.columns, config, *rows)
    if rows[0] == 0:
        check_row_independence(stored, plan, config, path, UNNAMED_GROUP)
    table, _ = make_table(stored, plan, config, path, UNNAMED_GROUP)
    return table


def _make_jets(table: Table, columns: Mapping[str, str], path: str, rows: int) -> JetTable:
    """Flat columns by role, where they fit together."""
    counts: Integers | None = None
    values: dict[str, Floats] = {}
    for role, name in columns.items():
        column = ak.Array(fill_missing(table[name]))
        if column.ndim != 2:
            raise DataError(
                f"{path}: column {name!r} ({role}) must have one list of jets an event, "
                f"its type is {column.type}"
            )
        column_counts = ak.to_numpy(ak.num(column))
        if counts is None:
            counts = column_counts
            reference = name
        elif not np.array_equal(column_counts, counts):
            raise DataError(
                f"{path}: columns {reference!r} and {name!r} hold different numbers of jets"
            )
        values[role] = ak.to_numpy(ak.flatten(column)).astype(np.float64)
    assert counts is not None
    if "tag" in values and not np.isin(values["tag"], (0, 1)).all():
        raise DataError(
            f"{path}: column {columns['tag']!r} must hold 0 or 1 for each jet (tagged or not)"
        )
    if WEIGHT in table:
        weight = ak.to_numpy(fill_missing(table[WEIGHT])).astype(np.float64)
        check_weights(weight, f"{path}: the event weight")
    else:
        weight = np.ones(len(counts))
    return JetTable(values, counts, weight, rows)
