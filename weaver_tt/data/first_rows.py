"""The first rows of every file group: what is done to all rows is tried on them beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import Chunk, Source, split_into_chunks
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.rows import Rows, concatenate_rows, slice_rows
from weaver_tt.data.rows.table import Table, read_columns, select_rows
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.scan import Scan
from weaver_tt.errors import BadFileError
from weaver_tt.formats.open_reader import open_reader

# rows of a group read at once, and rows read in all where the selection drops those before
ROWS = 500
MOST_ROWS = 20_000

# rows of a small batch, of all groups together
BATCH_ROWS = 16


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a file group of which one passes the selection, or of which none does.

    ``raw`` are the columns as they were read, of the file at ``path``, ``table`` the rows that were
    selected with all that is computed from them; empty where no row was.
    """

    group: str
    path: str
    raw: Table
    table: Table
    accounting: Accounting = field(default_factory=Accounting)

    @property
    def selected(self) -> int:
        """Number of rows in ``table``."""
        return self.accounting.selected.total()


def read_first_rows(
    config: DataConfig, plan: Plan, scan: Scan, *, rows: int = ROWS, skip_bad: bool = False
) -> list[FirstRows]:
    """The first ``rows`` rows of each group of ``scan``, in its order.

    Where the selection drops all of them, the next ones, up to ``MOST_ROWS`` in all. With
    ``skip_bad``, files that cannot be read are passed over.

    Raises:
        DataError: expressions do not fit the columns.
        BadFileError: a file cannot be read.
    """
    found = []
    for number, group in enumerate(scan.groups):
        sources = [source for source in scan.sources if source.group == number]
        accounting = Accounting()
        latest: FirstRows | None = None
        for chunk in _first_chunks(sources, rows):
            try:
                columns = _read_chunk(chunk, config, scan)
            except BadFileError:
                if not skip_bad:
                    raise
                continue
            selected = select_rows(columns, plan, config, chunk.path, group)
            accounting.add(selected.accounting)
            latest = FirstRows(group, chunk.path, columns, selected.table, accounting)
            if latest.selected or accounting.read.total() >= MOST_ROWS:
                break
        if latest is not None:
            found.append(latest)
    return found


def _first_chunks(sources: Sequence[Source], rows: int) -> Iterator[Chunk]:
    """All rows of ``sources`` in their order, ``rows`` at a time."""
    for source in sources:
        yield from split_into_chunks(source, rows)


def _read_chunk(chunk: Chunk, config: DataConfig, scan: Scan) -> Table:
    """The raw columns of a chunk."""
    with open_reader(chunk.path, config.treename) as reader:
        names = scan.columns[chunk.group]
        return read_columns(reader, names, config, chunk.first, chunk.last)


def first_rows_of_all(
    first: Sequence[FirstRows],
    config: DataConfig,
    plan: Plan,
    wanted: WantedLabels = ANY_LABELS,
    size: int = BATCH_ROWS,
) -> Rows | None:
    """Up to ``size`` rows, as many of each group where each has them; at least one of each.

    None where no row of any group passes the selection.

    Raises:
        ConfigError: a center is ``auto``.
        DataError: columns, labels or weights are not what they should be.
    """
    parts: list[Rows] = []
    with_rows = [part for part in first if part.selected]
    for number, part in enumerate(with_rows):
        rows, _ = to_rows(part.table, config, plan, part.path, wanted)
        # what earlier groups lack falls to those that follow
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
