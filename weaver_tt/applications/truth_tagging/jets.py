"""Columns of jets read in chunks, as flat arrays: what the map and the closure are filled from.

N events of a chunk, M jets in all of them, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.table import Table, evaluate_column, make_table, read_columns
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.physics.particles import flavour_index

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CHUNK_ROWS = 100_000  # rows read at once
WEIGHT = "event weight"  # no data YAML can name a column so


@dataclass(slots=True)
class JetTable:
    """``columns`` (M,) by role (pt, eta, …), ``counts`` (N,) jets of each event, ``weight`` (N,) of the events; made of ``rows`` rows of the file."""

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
        """Positions (N', number) of the jets with the highest pT, highest first, in the events that have that many."""
        events = np.repeat(np.arange(len(self.counts)), self.counts)
        order = np.lexsort((-self.columns["pt"], events))  # stable: jets that are in order stay
        starts = (np.cumsum(self.counts) - self.counts)[self.counts >= number]
        return order[starts[:, None] + np.arange(number)]


@dataclass(frozen=True, kw_only=True)
class JetFiles:
    """Files of jets and what to read from them.

    ``names``: role (pt, eta, phi, mass, flavour, tag, efficiency, truth) -> column with one value a jet; ``optional``: the same for columns that are
    read if all files have them; ``weight``: column of event weights (None: all 1). With ``config`` the columns are those that its data YAML makes of
    the files, after its selections, and the weights are its ``event_weight``.
    """

    paths: Sequence[str]
    names: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    weight: str | None = None
    treename: str | None = None
    config: DataConfig | None = None

    def __str__(self) -> str:
        return ", ".join(self.paths)

    def open(self, path: str) -> Reader:
        """One of the files."""
        return open_reader(
            path, self.treename or (self.config.treename if self.config is not None else None)
        )


def stream_jets(source: JetFiles) -> Iterator[JetTable]:
    """Chunks of all files in order.

    Raises DataError for a missing column, columns that disagree on the number of jets, and tags other than 0 and 1.
    """
    wanted = dict(source.names)
    if source.optional:
        present = set.intersection(*(_columns(source, path) for path in source.paths))
        wanted |= {role: name for role, name in source.optional.items() if name in present}
    for path in source.paths:
        if source.config is None:
            weight = source.weight
            tables = _tables(
                source, path, list(dict.fromkeys([*wanted.values(), *([weight] if weight else [])]))
            )
        else:
            weight = WEIGHT if source.config.event_weight is not None else None
            tables = _computed_tables(source, source.config, path, list(wanted.values()))
        for rows, table in tables:
            yield _make_jets(table, wanted, weight, path, rows)


def first_chunks(source: JetFiles) -> tuple[list[JetTable], float]:
    """The first chunk of each file, and the share of all rows that they hold."""
    total = held = 0
    chunks = []
    for path in source.paths:
        with source.open(path) as reader:
            total += reader.rows()
        for jets in islice(stream_jets(replace(source, paths=[path])), 1):
            chunks.append(jets)
            held += jets.rows
    return chunks, held / max(total, 1)


def row_ranges(borders: Sequence[int], most: int = CHUNK_ROWS) -> Iterator[tuple[int, int]]:
    """Row ranges (first, last) between cluster ``borders`` 0 … rows: whole clusters together up to ``most`` rows, longer clusters cut."""
    first = last = 0
    for border in borders:
        if border - first > most and last > first:
            yield first, last
            first = last
        while border - first > most:
            yield first, first + most
            first += most
        last = border
    if last > first:
        yield first, last


def _columns(source: JetFiles, path: str) -> set[str]:
    with source.open(path) as reader:
        return set(reader.columns())


def _tables(source: JetFiles, path: str, columns: Sequence[str]) -> Iterator[tuple[int, Table]]:
    """Columns of a file, chunk by chunk, each with the number of rows read for it."""
    with source.open(path) as reader:
        for first, last in row_ranges(reader.clusters(columns)):
            yield last - first, reader.read(columns, first, last)


def _computed_tables(
    source: JetFiles, config: DataConfig, path: str, columns: Sequence[str]
) -> Iterator[tuple[int, Table]]:
    """The same of what a data YAML makes of a file for training; the event weight is column ``WEIGHT``."""
    made = make_plan(config, "train")
    with source.open(path) as reader:
        for first, last in row_ranges(reader.clusters()):
            table, _ = make_table(
                read_columns(reader, made.columns, config, first, last), made, config, path, path
            )
            if len(next(iter(table.values()))) == 0:
                continue
            for name in columns:
                if name not in table:
                    raise ConfigError(
                        f"{config.source}: no column {name!r} is made for training; {nearest(name, table)}"
                    )
            weight = (
                {}
                if config.event_weight is None
                else {WEIGHT: evaluate_column(config.event_weight, table, f"{path}: event_weight")}
            )
            yield last - first, {name: table[name] for name in columns} | weight


def _make_jets(
    table: Table, wanted: Mapping[str, str], weight: str | None, path: str, rows: int
) -> JetTable:
    counts: Integers | None = None
    columns = {}
    for role, name in wanted.items():
        values = ak.Array(table[name])
        if values.ndim != 2:
            raise DataError(
                f"{path}: column {name!r} ({role}) must have one list of jets an event, its type is {values.type}"
            )
        found = ak.to_numpy(ak.num(values))
        if counts is None:
            counts, reference = found, name
        elif not np.array_equal(found, counts):
            raise DataError(
                f"{path}: columns {reference!r} and {name!r} hold different numbers of jets"
            )
        columns[role] = ak.to_numpy(ak.flatten(values)).astype(np.float64)
    assert counts is not None
    if "tag" in columns and not np.isin(columns["tag"], (0, 1)).all():
        raise DataError(
            f"{path}: column {wanted['tag']!r} must hold 0 or 1 for each jet (tagged or not)"
        )
    weights = (
        np.ones(len(counts)) if weight is None else ak.to_numpy(table[weight]).astype(np.float64)
    )
    return JetTable(columns, counts, weights, rows)
