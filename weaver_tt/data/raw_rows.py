"""Single rows as their files have them: what the inputs of a network are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import awkward as ak
import numpy as np

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.plan import Plan, make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.chunks import Source, number_files
from weaver_tt.data.rows.bootstrap import ROW_BITS
from weaver_tt.data.rows.rows import Integers, Rows
from weaver_tt.data.rows.table import (
    Table,
    file_magic_column,
    make_table,
    read_columns,
)
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.scan import Scan
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.formats.open_reader import open_reader

# rows of a file that lie between the first and the last of those that are read at once
MOST_AT_ONCE = 10_000


def inputs_alone(config: DataConfig) -> DataConfig:
    """The inputs of a network and what leaves beside them, for rows that are selected already.

    ``derived_inputs`` are an input group as all others. Objects are still selected.
    """
    return replace(
        restrict_to_inputs(config, config.batch_groups),
        selection=None,
        test_time_selection=None,
        extra_selection=None,
    )


def raw_column_names(config: DataConfig) -> list[str]:
    """The columns that the inputs are made of: those of the files, and constants of a file."""
    alone = inputs_alone(config)
    needed = [name for group in alone.inputs.values() for name in group.names]
    for selection in alone.objects.values():
        needed += sorted(selection.expression.names)
    found = []
    for name in dependency_order(alone, needed):
        if alone.is_in_file(name) or name in alone.file_magic:
            found.append(name)
    return found


def read_raw_rows(identity: Integers, scan: Scan, config: DataConfig) -> Table:
    """The raw columns (R,) of the rows with this ``identity`` (R,) in the files of ``scan``.

    They have the types that the scan has settled, all objects, and the names of the YAML.

    Raises:
        DataError: a file cannot be read.
    """
    names = raw_column_names(config)
    numbers = number_files(scan.sources)
    sources = {number: source for source in scan.sources for number in [numbers[_key(source)]]}
    order = np.argsort(identity, kind="stable")
    in_files = identity[order]
    parts: list[Table] = []
    for number in np.unique(in_files >> ROW_BITS):
        entries = in_files[in_files >> ROW_BITS == number] & ((1 << ROW_BITS) - 1)
        parts += _read_entries(sources[int(number)], entries, names, scan, config)
    # where each of the rows has gone to
    place = np.argsort(order, kind="stable")
    return {name: ak.concatenate([part[name] for part in parts])[place] for name in names}


def _key(source: Source) -> tuple[int, str]:
    return source.group, source.path


def _read_entries(
    source: Source, entries: Integers, names: list[str], scan: Scan, config: DataConfig
) -> Iterator[Table]:
    """The rows ``entries``, ascending, of a file, some at a time."""
    constants = [name for name in names if name in config.file_magic]
    in_file = [name for name in names if name not in config.file_magic]
    with open_reader(source.path, config.treename, config.rows) as reader:
        # stretches of the file that bound the memory, however few of its rows were selected
        stretch = entries // MOST_AT_ONCE
        for run in np.split(entries, np.flatnonzero(np.diff(stretch)) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            columns = read_columns(reader, in_file, config, first, last, scan.types)
            table = {name: ak.Array(values)[run - first] for name, values in columns.items()}
            for name in constants:
                constant = file_magic_column(name, config, source.path, source.group_name, len(run))
                table[name] = ak.Array(constant)
            yield table


def evaluate_raw_rows(raw: Table, config: DataConfig, where: str) -> tuple[Table, Rows]:
    """The columns of the inputs of raw rows, all objects of each, and the rows ready but padding.

    ``raw`` are columns of :func:`read_raw_rows`, at least one row; ``where`` is for messages.

    Raises:
        ConfigError: a center is ``auto``.
        DataError: expressions do not fit the columns.
    """
    # constants of a file are columns here
    alone = replace(inputs_alone(config), file_magic={})
    plan: Plan = make_plan(alone, "predict")
    table, _ = make_table(raw, plan, alone, where, where)
    rows, _ = to_rows(table, alone, plan, where)
    return table, rows
