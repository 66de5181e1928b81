"""Columns of the selected rows of files as one table, new variables among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import awkward as ak

from weaver_tt.config.plan import (
    Plan,
    Purpose,
    make_plan,
    with_extra_selection,
    without_reweighting,
)
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.chunks import split_into_chunks
from weaver_tt.data.rows.row_independence import check_row_independence
from weaver_tt.data.rows.table import make_table, read_columns
from weaver_tt.data.scan import Scan, scan_files
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import ConfigError
from weaver_tt.formats.file_groups import list_files, parse_groups
from weaver_tt.formats.open_reader import open_reader

ROWS_AT_ONCE = 20_000


def read_table(
    config: DataConfig,
    files: str | Path | Sequence[str | Path],
    columns: Sequence[str] | None = None,
    *,
    rows: int | None = None,
    purpose: Purpose = "predict",
    extra_selection: str | None = None,
) -> ak.Array:
    """The selected rows of ``files`` with ``columns``, each a field of the array.

    Columns are those of the files and the ``new_variables`` of the YAML, by name; None is all that
    ``purpose`` ("predict" or "train") needs: inputs, labels, observers. It also says which
    selection is used, as only prediction has a ``test_time_selection``. Reading ends after
    ``rows`` selected rows.

    Raises:
        ConfigError: no column of a file is asked for.
        DataError: a file cannot be read, or lacks a column.
    """
    config = with_extra_selection(without_reweighting(config), purpose, extra_selection)
    if columns is not None:
        # monitored columns are those that every pass needs
        config = replace(restrict_to_inputs(config, {}), monitor_variables=tuple(columns))
    plan = make_plan(config, purpose)
    if not plan.columns:
        raise ConfigError(
            f"{config.source}: columns: none of {columns} is made of a file's columns"
        )
    scan = scan_files(parse_groups(list_files(files)), config, plan)
    parts: list[ak.Array] = []
    missing = rows
    for part in _selected_parts(config, plan, scan):
        if missing is not None:
            part = part[:missing]
            missing -= len(part)
        parts.append(part)
        if missing == 0:
            break
    return _concatenate(parts, columns or [*plan.columns, *plan.computed])


def _selected_parts(config: DataConfig, plan: Plan, scan: Scan) -> Iterator[ak.Array]:
    """The selected rows of one stretch of a file after another, as records."""
    for source in scan.sources:
        with open_reader(source.path, config.treename, config.rows) as reader:
            for chunk in split_into_chunks(source, ROWS_AT_ONCE):
                names = scan.columns[chunk.group]
                group = scan.groups[chunk.group]
                raw = read_columns(reader, names, config, chunk.first, chunk.last, scan.types)
                if chunk.first == 0:
                    check_row_independence(raw, plan, config, chunk.path, group)
                table, accounting = make_table(raw, plan, config, chunk.path, group)
                # without rows, new variables are not computed
                if accounting.selected.total():
                    fields = {name: ak.Array(values) for name, values in table.items()}
                    yield ak.zip(fields, depth_limit=1)


def _concatenate(parts: Sequence[ak.Array], names: Sequence[str]) -> ak.Array:
    """The rows of all ``parts``, with those of the fields ``names`` that each of them has."""
    if not parts:
        return ak.Array({name: [] for name in names})
    common = list(names)
    # an optional column may be in the files of one group only
    for part in parts:
        common = [name for name in common if name in part.fields]
    return ak.concatenate([part[common] for part in parts])
