"""The first rows of some files of every group: what is done to all rows is tried on them first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import Source, split_into_chunks
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.row_independence import check_row_independence
from weaver_tt.data.rows.rows import Integers, Rows, concatenate_rows, slice_rows
from weaver_tt.data.rows.table import Table, read_columns, select_rows
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.scan import Scan
from weaver_tt.errors import BadFileError
from weaver_tt.formats.open_reader import open_reader

T = TypeVar("T")

# rows of a group read at once, and rows of a file read in all where those before are not selected
ROWS = 500
MOST_ROWS = 20_000

# files looked into: of a group, and about of all groups together
FILES_OF_GROUP = 5
FILES = 60

# rows of a small batch, of all groups together
BATCH_ROWS = 16


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a file of which one passes the selection, or of which none does.

    ``raw`` are the columns as they were read, of the file at ``path``, ``table`` the rows that were
    selected with all that is computed from them; empty where no row was.
    """

    group: str
    path: str
    raw: Table
    table: Table
    row_numbers: Integers  # (R,) number of each selected row in the file
    accounting: Accounting = field(default_factory=Accounting)

    @property
    def selected(self) -> int:
        """Number of rows in ``table``."""
        return len(self.row_numbers)

    def to_rows(
        self, config: DataConfig, plan: Plan, wanted: WantedLabels = ANY_LABELS
    ) -> tuple[Rows, Accounting]:
        """The selected rows, at least one, ready but for padding, and what was counted.

        Raises:
            ConfigError: a center is ``auto``.
            DataError: columns, labels or weights are not what they should be.
        """
        return to_rows(self.table, config, plan, self.path, wanted, self.row_numbers)


def read_first_rows(
    config: DataConfig,
    plan: Plan,
    scan: Scan,
    *,
    rows: int = ROWS,
    files: int = FILES_OF_GROUP,
    skip_bad: bool = False,
) -> list[FirstRows]:
    """The first rows of some files of each group of ``scan``, about ``rows`` of each group.

    At most ``files`` of a group, spread over it, as each may hold one class. Where the selection
    drops the first rows of a file, the next ones follow, up to ``MOST_ROWS`` in all. With
    ``skip_bad``, files that cannot be read are passed over.

    Raises:
        DataError: expressions do not fit the columns, or depend on other rows.
        BadFileError: a file cannot be read.
    """
    most = max(1, min(files, FILES // len(scan.groups)))
    found = []
    for number in range(len(scan.groups)):
        sources = [source for source in scan.sources if source.group == number]
        chosen = spread_over(sources, most)
        for source in chosen:
            try:
                first = _first_of_file(source, config, plan, scan, max(1, rows // len(chosen)))
            except BadFileError:
                if not skip_bad:
                    raise
                continue
            found.append(first)
    return found


def spread_over(items: Sequence[T], number: int) -> list[T]:
    """At most ``number`` > 0 of ``items``, evenly spread from the first one on."""
    if len(items) <= number:
        return list(items)
    if number == 1:
        return [items[0]]
    return [items[i * (len(items) - 1) // (number - 1)] for i in range(number)]


def _first_of_file(
    source: Source, config: DataConfig, plan: Plan, scan: Scan, rows: int
) -> FirstRows:
    """The first ``rows`` rows of a file of which one passes, up to ``MOST_ROWS``."""
    group = scan.groups[source.group]
    accounting = Accounting()
    with open_reader(source.path, config.treename, config.rows) as reader:
        for chunk in split_into_chunks(source, rows):
            names = scan.columns[source.group]
            columns = read_columns(reader, names, config, chunk.first, chunk.last, scan.types)
            selected = select_rows(columns, plan, config, source.path, group)
            accounting.add(selected.accounting)
            if accounting.selected.total() or accounting.read.total() >= MOST_ROWS:
                break
    check_row_independence(columns, plan, config, source.path, group)
    # sources without rows are in no scan
    row_numbers = chunk.first + np.flatnonzero(selected.passed)
    return FirstRows(group, source.path, columns, selected.table, row_numbers, accounting)


def rows_and_counts(
    first: Sequence[FirstRows],
    config: DataConfig,
    plan: Plan,
    wanted: WantedLabels = ANY_LABELS,
) -> tuple[list[Rows], dict[str, Accounting]]:
    """The selected rows of each file that has some, and file group -> what was counted.

    Raises:
        ConfigError: a center is ``auto``.
        DataError: columns, labels or weights are not what they should be.
    """
    found = []
    accounting: dict[str, Accounting] = {}
    for part in first:
        counts = accounting.setdefault(part.group, Accounting())
        counts.add(part.accounting)
        if part.selected:
            rows, counted = part.to_rows(config, plan, wanted)
            counts.add(counted)
            found.append(rows)
    return found, accounting


def first_rows_of_all(
    first: Sequence[FirstRows],
    config: DataConfig,
    plan: Plan,
    wanted: WantedLabels = ANY_LABELS,
    size: int = BATCH_ROWS,
) -> Rows | None:
    """Up to ``size`` rows, as many of each file where each has them; at least one of each.

    None where no row of any file passes the selection.

    Raises:
        ConfigError: a center is ``auto``.
        DataError: columns, labels or weights are not what they should be.
    """
    parts: list[Rows] = []
    with_rows = [part for part in first if part.selected]
    for number, part in enumerate(with_rows):
        rows, _ = part.to_rows(config, plan, wanted)
        # what earlier files lack falls to those that follow
        taken = sum(part.size for part in parts)
        share = max(1, (size - taken) // (len(with_rows) - number))
        parts.append(slice_rows(rows, 0, min(share, rows.size)))
    return concatenate_rows(parts) if parts else None


def first_batch(
    first: Sequence[FirstRows],
    config: DataConfig,
    plan: Plan,
    wanted: WantedLabels = ANY_LABELS,
    size: int = BATCH_ROWS,
    device: torch.device | str = "cpu",
) -> Batch | None:
    """:func:`first_rows_of_all`, padded to the full lengths of the inputs."""
    rows = first_rows_of_all(first, config, plan, wanted, size)
    return None if rows is None else Padder(config, device)(rows)
