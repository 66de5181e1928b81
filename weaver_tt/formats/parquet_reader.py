"""Parquet files: row groups are the clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import awkward as ak
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import Reader, blame_file, column_spellings


class ParquetReader(Reader):
    """A parquet file. Columns are its top-level fields; members of structs and of lists of structs are columns ``struct.member``.

    A null number counts as NaN (that is how pandas writes NaN); a null in any other column is an error when it is read.
    """

    def __init__(self, path: str, treename: str | None = None) -> None:
        super().__init__(path, path)
        with blame_file(path, "the file"):
            self._source = fsspec.open(path, "rb").open() if is_remote(path) else pa.OSFile(path)
            self._file = pq.ParquetFile(self._source, page_checksum_verification=True)
            metadata = self._file.metadata
            groups = [
                metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)
            ]
            leaves = [
                name
                for field in self._file.schema_arrow
                for name in _leaf_names(field.name, field.type)
            ]
            stored = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
        if len(leaves) != len(stored):
            raise BadFileError(
                f"{path}: the schema names {len(leaves)} columns, the file stores {len(stored)}"
            )
        self._stored = dict(
            zip(leaves, stored, strict=True)
        )  # column -> its path in the parquet schema
        self._starts = np.cumsum([0, *groups])  # of each row group, and the end
        self._spellings = column_spellings(self._stored)

    def columns(self) -> list[str]:
        return list(self._stored)

    def rows(self) -> int:
        return int(self._starts[-1])

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        return sorted(set(self._starts.tolist()))

    def _close(self) -> None:
        self._file.close()
        self._source.close()

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        table = self._decode([self._stored[name] for name in names], first, last)
        return {name: self._to_awkward(table, name) for name in names}

    def _decode(self, stored: list[str], first: int, last: int) -> pa.Table:
        """Rows [first, last); memory is that of about twice these rows, however large the row groups are."""
        begin, end = (
            int(np.searchsorted(self._starts[1:], first, "right")),
            int(np.searchsorted(self._starts, last, "left")),
        )
        groups, rows = list(range(begin, end)) if first < last else [], last - first
        skip = first - int(self._starts[begin])
        if 2 * rows >= int(self._starts[end] - self._starts[begin]) or not rows:
            return self._file.read_row_groups(groups, columns=stored, use_threads=False).slice(
                skip, rows
            )
        pieces, position = [], 0
        for batch in self._file.iter_batches(
            batch_size=rows, row_groups=groups, columns=stored, use_threads=False
        ):
            if position + batch.num_rows > skip:
                low = max(skip - position, 0)
                pieces.append(batch.slice(low, skip + rows - position - low))
            position += batch.num_rows
            if position >= skip + rows:
                break
        return pa.Table.from_batches(pieces)

    def _to_awkward(self, table: pa.Table, name: str) -> ak.Array:
        """One column of an arrow table, free of options."""
        outer = name if name in table.column_names else name.split(".")[0]
        layout = ak.from_arrow(table[outer], highlevel=False)
        for member in name.split(".")[1:] if outer != name else []:
            layout = layout[member]
        return ak.Array(self._without_nulls(layout, name))

    def _without_nulls(self, layout: ak.contents.Content, name: str) -> ak.contents.Content:
        """``layout`` with its option types resolved; numbers that are null become NaN."""
        if layout.is_option:
            inside = self._without_nulls(layout.content, name) if layout.is_unmasked else None
            if inside is not None:
                return inside
            missing = layout.mask_as_bool(valid_when=False)
            if not missing.any():
                return self._without_nulls(layout.project(), name)
            if not (layout.content.is_numpy and layout.content.dtype.kind == "f"):
                raise DataError(f"{self.place}: column {name!r} has {missing.sum()} null entries")
            values = np.full(layout.length, np.nan, dtype=layout.content.dtype)
            values[~missing] = layout.project().data
            return ak.contents.NumpyArray(values)
        if layout.is_list and layout.parameter("__array__") is None:
            return layout.copy(content=self._without_nulls(layout.content, name))
        return layout


def _leaf_names(name: str, kind: pa.DataType) -> Iterator[str]:
    """Names of the columns stored for a field, in the order of the file: one for each member of a struct."""
    while (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaf_names(f"{name}.{member.name}", member.type)
    else:
        yield name
