"""One pass over the training rows before training, table by table in bounded memory.

Input statistics, weight tables and bucket edges are accumulated by it, each from the columns and
the rows that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from awkward.types import Type

from weaver_tt.config.plan import Plan, make_plan, without_reweighting
from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.data.accounting import Accounting, LostRows
from weaver_tt.data.chunks import Chunk, Source, select_window, split_into_chunks
from weaver_tt.data.rows.table import (
    AS_IN_FILE,
    Table,
    describe_empty_selections,
    make_table,
    read_columns,
)
from weaver_tt.data.scan import Scan
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.shared_offsets import share_offsets
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.system.signals import end_if_asked

ROWS_AT_ONCE = 20_000


class Accumulator(Protocol):
    """Adds up something over the training rows, unless an earlier run has done so."""

    needed: DataConfig  # the part of the configuration whose columns and selections it uses
    fraction: float  # of every stretch of rows, the share from its beginning that it uses
    fingerprint: str  # of all that the result depends on

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> Any:
        """The result in ``old``, which an earlier run saved at ``path``; None if out of date.

        With ``keep`` it never is.
        """

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` > 0 selected rows of the file at ``path``."""

    def result(self) -> Any:
        """What all tables add up to."""


def restrict_to_inputs(config: DataConfig, inputs: Mapping[str, InputGroup]) -> DataConfig:
    """These inputs and the selections of ``config``, without what is learnt or derived."""
    return replace(
        without_reweighting(config),
        inputs=inputs,
        labels=None,
        event_weight=None,
        monitor_variables=(),
        observers=(),
        optional_observers=(),
        derived_outputs={},
        transform_columns=(),
        targets={},
        decorrelation=None,
    )


def training_sources(scan: Scan, data: DataOptions) -> list[Source]:
    """The rows that are trained on, file by file.

    Without validation files these are the first ``train_val_split`` of each file.
    """
    share = data.data_fraction
    if not data.data_val:
        share *= data.train_val_split
    return [select_window(source, 0, share) for source in scan.sources]


def accumulate(
    accumulators: Sequence[Accumulator],
    sources: Sequence[Source],
    skip_bad: bool,
    types: Mapping[str, Type] = AS_IN_FILE,
) -> list[LostRows]:
    """Pass once over the rows of ``sources`` and give each accumulator its selected rows.

    Each file is opened once. A column is read only for the rows that some accumulator uses.
    ``types``: those that the scan has settled. Returns what was skipped because of ``skip_bad``.

    Raises:
        BadFileError: rows cannot be decoded, and are not to be skipped.
        DataError: no object of a group passes its selection.
    """
    if not accumulators:
        return []
    plans = [make_plan(accumulator.needed, "train") for accumulator in accumulators]
    totals = [Accounting() for _ in accumulators]
    lost: list[LostRows] = []
    for source in sources:
        try:
            lost += _accumulate_file(accumulators, plans, totals, source, types, skip_bad)
        except BadFileError as error:
            if not skip_bad:
                raise
            log.warning("skipped a bad file: %s", error)
            lost.append(LostRows(source.path, str(error), source.borders[0], source.borders[-1]))
    for accumulator, total in zip(accumulators, totals, strict=True):
        empty = describe_empty_selections(total, accumulator.needed)
        if empty:
            where = f"{accumulator.needed.source}: object_selection"
            raise DataError(f"{where}: {'; '.join(empty)}")
    return lost


def _accumulate_file(
    accumulators: Sequence[Accumulator],
    plans: Sequence[Plan],
    totals: Sequence[Accounting],
    source: Source,
    types: Mapping[str, Type],
    skip_bad: bool,
) -> list[LostRows]:
    """Give each accumulator its rows of one file, and count them in its ``totals``.

    Returns the rows that were skipped.

    Raises:
        BadFileError: the file cannot be opened, or rows cannot be decoded and are not skipped.
    """
    lost: list[LostRows] = []
    chunks = [chunk for chunk in split_into_chunks(source, ROWS_AT_ONCE) if chunk.rows]
    if not chunks:
        return lost
    config = accumulators[0].needed  # files are the same for all
    with open_reader(source.path, config.treename, config.rows) as reader:
        for chunk in chunks:
            end_if_asked("the statistics begin anew")
            try:
                tables = _read_chunk(reader, chunk, accumulators, plans, types)
            except BadFileError as error:
                if not skip_bad:
                    raise
                log.warning(
                    "skipped rows %d to %d of a bad file: %s", chunk.first, chunk.last, error
                )
                lost.append(LostRows(chunk.path, str(error), chunk.first, chunk.last))
                continue
            parts = zip(accumulators, plans, totals, tables, strict=True)
            for accumulator, plan, total, columns in parts:
                table, accounting = make_table(
                    columns, plan, accumulator.needed, chunk.path, source.group_name
                )
                total.add(accounting)
                selected = accounting.selected.total()
                if selected:
                    accumulator.add(table, selected, chunk.path)
    return lost


def _read_chunk(
    reader: Reader,
    chunk: Chunk,
    accumulators: Sequence[Accumulator],
    plans: Sequence[Plan],
    types: Mapping[str, Type],
) -> list[Table]:
    """The raw columns of a chunk that each accumulator uses, with the rows that it uses."""
    rows_used = []
    for accumulator in accumulators:
        # a share of every stretch, not the file's beginning: files may be sorted
        rows_used.append(max(1, round(chunk.rows * accumulator.fraction)))
    rows_read: dict[str, int] = {}
    for plan, rows in zip(plans, rows_used, strict=True):
        for name in plan.columns:
            rows_read[name] = max(rows, rows_read.get(name, 0))
    raw: Table = {}
    config = accumulators[0].needed  # names in the file are the same for all parts
    # columns that are needed for as many rows are decoded together
    for rows in sorted(set(rows_read.values()), reverse=True):
        names = [name for name in rows_read if rows_read[name] == rows]
        last = chunk.first + rows
        raw |= read_columns(reader, names, config, chunk.first, last, types)
    tables = []
    for plan, rows in zip(plans, rows_used, strict=True):
        columns: Table = {}
        for name in plan.columns:
            columns[name] = raw[name]
            if rows_read[name] > rows:
                columns[name] = raw[name][:rows]
        # columns read or sliced apart must again be seen to have the same objects
        tables.append(share_offsets(columns))
    return tables
