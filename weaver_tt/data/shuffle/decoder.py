"""A chunk -> its rows: read, select, draw by their weights, scale."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting, LostRows
from weaver_tt.data.chunks import Chunk, number_files
from weaver_tt.data.rows.bootstrap import identify_rows
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import (
    SelectedRows,
    Table,
    read_columns,
    select_rows,
    take_table_rows,
)
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.scan import Scan
from weaver_tt.data.shuffle.pool import NO_INDICES, DecodedChunk
from weaver_tt.data.statistics.bucketing import bucket_indices
from weaver_tt.data.statistics.sampling import DrawnRows, Sampler
from weaver_tt.errors import BadFileError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.log import log
from weaver_tt.system.stage_times import Stage, StageTimes

NO_ROWS = DecodedChunk(None, NO_INDICES, NO_INDICES, NO_INDICES)


@dataclass(slots=True)
class KeptChunks:
    """What is the same in every epoch of chunks that are small enough to stay in memory.

    ``decoded``: their rows, with what was counted on the way to them. Where weights draw the rows
    of each epoch anew, ``selected``: what they are drawn from.
    """

    selected: dict[Chunk, SelectedRows] = field(default_factory=dict)
    decoded: dict[Chunk, tuple[DecodedChunk, Accounting]] = field(default_factory=dict)

    def __contains__(self, chunk: Chunk) -> bool:
        return chunk in self.decoded or chunk in self.selected


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """What was read of a chunk: its raw columns, or why a bad file is skipped; and the time.

    Nothing of a chunk that is kept.
    """

    columns: Table | BadFileError | None
    times: StageTimes


class Decoder:
    """Turns chunks into rows: ``read`` them (file access), then ``finish`` them.

    Keeps the latest ``keep_open`` files open. Another thread may ``read`` while this one does all
    the rest, and counts it in ``times``. With ``kept``, a chunk is read once.
    """

    def __init__(
        self,
        config: DataConfig,
        plan: Plan,
        scan: Scan,
        on_bad_file: str,
        wanted: WantedLabels = ANY_LABELS,
        identify: bool = False,
        kept: KeptChunks | None = None,
    ) -> None:
        """``wanted``: the labels that the task wants; ``identify``: rows have an ``identity``.

        ``kept``: where chunks stay from epoch to epoch, if they do.
        """
        self.keep_open = 2
        self.accounting = Accounting()  # of all chunks finished
        self.times = StageTimes()  # the same, and of the batches made of them
        self._config = config
        self._plan = plan
        self._scan = scan
        self._wanted_labels = wanted
        self._skip_bad = on_bad_file == "skip"
        self._file_numbers = number_files(scan.sources) if identify else None
        self._readers: OrderedDict[str, Reader] = OrderedDict()
        self._kept = kept

    def read(self, chunk: Chunk) -> ReadChunk:
        """The raw columns of a chunk; the error where a bad file is to be skipped.

        Raises:
            BadFileError: the file cannot be decoded, and is not to be skipped.
        """
        if self._kept is not None and chunk in self._kept:
            return ReadChunk(None, StageTimes())
        names = self._scan.columns[chunk.group]
        times = StageTimes()
        columns: Table | BadFileError
        try:
            with times.stage(Stage.READING):
                reader = self._reader(chunk.path)
            with times.stage(reader.reading_stage):
                columns = read_columns(
                    reader, names, self._config, chunk.first, chunk.last, self._scan.types
                )
        except BadFileError as error:
            if not self._skip_bad:
                raise
            columns = error
        return ReadChunk(columns, times)

    def finish(self, chunk: Chunk, read: ReadChunk, sampler: Sampler | None = None) -> DecodedChunk:
        """The rows of a chunk that pass the selection and that ``sampler`` draws.

        Rows of a chunk that is kept are not to be written to.

        Raises:
            DataError: expressions, labels or weights do not fit the columns.
        """
        self.times.add(read.times)
        columns = read.columns
        if isinstance(columns, BadFileError):
            log.warning("skipped rows %d to %d of a bad file: %s", chunk.first, chunk.last, columns)
            lost = LostRows(chunk.path, str(columns), chunk.first, chunk.last)
            self.accounting.lost[lost] += 1
            return NO_ROWS
        if self._kept is not None and chunk in self._kept.decoded:
            decoded, accounting = self._kept.decoded[chunk]
        else:
            selected = self._select(chunk, columns)
            decoded, accounting = self._draw_and_scale(chunk, selected, sampler)
            if self._kept is not None and sampler is None:
                self._kept.decoded[chunk] = decoded, accounting
            elif self._kept is not None:
                self._kept.selected[chunk] = selected
        self.accounting.add(accounting)
        return decoded

    def _select(self, chunk: Chunk, columns: Table | None) -> SelectedRows:
        """The rows of a chunk that pass the selection, with all that is computed of them."""
        if columns is None:
            # a chunk that is kept is not read
            assert self._kept is not None
            return self._kept.selected[chunk]
        group = self._scan.groups[chunk.group]
        with self.times.stage(Stage.EXPRESSIONS):
            return select_rows(columns, self._plan, self._config, chunk.path, group)

    def _draw_and_scale(
        self, chunk: Chunk, selected: SelectedRows, sampler: Sampler | None
    ) -> tuple[DecodedChunk, Accounting]:
        """The rows that ``sampler`` draws of those selected, and what was counted on the way."""
        accounting = Accounting()
        accounting.add(selected.accounting)
        table = selected.table
        positions = np.flatnonzero(selected.passed)  # (D,)
        if not len(positions):
            # expressions need not work on no rows
            return NO_ROWS, accounting
        if sampler is None:
            drawn = DrawnRows(np.ones(len(positions), dtype=np.int64))
        else:
            group = self._scan.groups[chunk.group]
            with self.times.stage(Stage.EXPRESSIONS):
                drawn = sampler.draw(table, chunk, positions, group)
        accounting.add(drawn.accounting)
        kept = drawn.copies > 0
        if not kept.any():
            return NO_ROWS, accounting
        if not kept.all():
            # before anything is scaled: rows that are not drawn cost nothing more
            table = take_table_rows(table, kept)
        with self.times.stage(Stage.SCALING):
            decoded = self._scale(table, chunk, positions, drawn, accounting)
        return decoded, accounting

    def _scale(
        self,
        table: Table,
        chunk: Chunk,
        positions: Integers,
        drawn: DrawnRows,
        accounting: Accounting,
    ) -> DecodedChunk:
        """The rows of a chunk that were drawn, which ``table`` holds once each.

        ``positions`` (D,) are the places of the rows that were drawn from, ``drawn`` how often;
        what is cut, replaced and counted is added to ``accounting``.
        """
        kept = drawn.copies > 0
        entries = chunk.first + positions[kept]
        rows, counts = to_rows(
            table, self._config, self._plan, chunk.path, self._wanted_labels, entries
        )
        accounting.add(counts)
        if drawn.weight is not None:
            weight = drawn.weight[kept]  # (R,)
            rows.weight = weight if rows.weight is None else rows.weight * weight
        if self._file_numbers is not None:
            file = self._file_numbers[chunk.group, chunk.path]
            rows.identity = identify_rows(file, entries)
        buckets = np.zeros(rows.size, dtype=np.int64)
        if self._config.bucketing is not None:
            buckets = bucket_indices(table, self._config.bucketing, chunk.path)
        # a row that is drawn several times is decoded once
        positions = np.repeat(positions, drawn.copies)
        places = np.repeat(np.arange(rows.size), drawn.copies[kept])
        return DecodedChunk(rows, positions, places, buckets)

    def close(self) -> None:
        """Close all files."""
        while self._readers:
            _, reader = self._readers.popitem()
            reader.close()

    def _reader(self, path: str) -> Reader:
        """The open reader of a file."""
        if path not in self._readers:
            while len(self._readers) >= self.keep_open:
                # the file that was read longest ago
                _, reader = self._readers.popitem(last=False)
                reader.close()
            config = self._config
            self._readers[path] = open_reader(path, config.treename, config.rows)
        self._readers.move_to_end(path)
        return self._readers[path]
