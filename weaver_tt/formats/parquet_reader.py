"""The reader of parquet files: row groups are the clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import awkward as ak
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from awkward.types import ListType, NumpyType, RegularType, Type

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import Reader, blame_file, check_unpacked, column_spellings

# in memory, at least: the smallest type that values of lists have as a rule, with room for offsets
BYTES_OF_VALUE = 4


class ParquetReader(Reader):
    """A parquet file. Columns are its top-level fields.

    Members of structs, and of lists of structs, are columns ``struct.member``. A null number counts
    as NaN (that is how pandas writes NaN); a null in any other column is an error when it is read.
    """

    def __init__(self, path: str, treename: str | None = None) -> None:
        super().__init__(path, path)
        is_list: dict[str, bool] = {}
        with blame_file(path, "the file"):
            if is_remote(path):
                self._source = fsspec.open(path, "rb").open()
            else:
                self._source = pa.OSFile(path)
            self._file = pq.ParquetFile(self._source, page_checksum_verification=True)
            metadata = self._file.metadata
            group_rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            stored = _stored_paths(metadata)
            for field in self._file.schema_arrow:
                is_list.update(_leaves(field.name, field.type))
        leaves = list(is_list)
        if len(leaves) != len(stored):
            raise BadFileError(
                f"{path}: the schema names {len(leaves)} columns, the file stores {len(stored)}"
            )
        # column -> its path in the parquet schema, which names the levels of a list too
        self._stored = dict(zip(leaves, stored, strict=True))
        self._numbers = {name: number for number, name in enumerate(leaves)}
        self._is_list = is_list
        self._checked: set[tuple[int, str]] = set()  # row groups and columns of known size
        self._starts = np.cumsum([0, *group_rows])  # of each row group, and the end
        self._spellings = column_spellings(self._stored)

    def columns(self) -> list[str]:
        return list(self._stored)

    def rows(self) -> int:
        return int(self._starts[-1])

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Boundaries of the row groups, which all columns share."""
        return sorted(set(self._starts.tolist()))

    def _close(self) -> None:
        self._file.close()
        self._source.close()

    def stored_type(self, name: str) -> str:
        """The arrow type of the whole field that the column is in."""
        schema = self._file.schema_arrow
        outer = name if name in schema.names else name.split(".")[0]
        return str(schema.field(outer).type)

    def _types(self, names: Sequence[str]) -> dict[str, Type]:
        schema = self._file.schema_arrow
        types = {}
        others = []
        for name in names:
            kind = _type_of_numbers(schema.field(name).type) if name in schema.names else None
            if kind is None:
                others.append(name)
            else:
                types[name] = kind
        # text, and members of structs
        return types | super()._types(others)

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        self._check_sizes(names, first, last)
        table = self._decode([self._stored[name] for name in names], first, last)
        return {name: self._to_awkward(table, name) for name in names}

    def _check_sizes(self, names: Sequence[str], first: int, last: int) -> None:
        """Check what the row groups with rows [first, last) unpack to, for each column.

        Raises:
            BadFileError: that is no data.
        """
        for group in self._groups_of(first, last):
            for name in names:
                if (group, name) in self._checked:
                    continue
                chunk = self._file.metadata.row_group(group).column(self._numbers[name])
                unpacked = chunk.total_uncompressed_size
                # values that are alike are stored once; of one value a row no more is decoded than
                # is asked for, but a row of a list may hold all values
                if self._is_list[name]:
                    unpacked = max(unpacked, chunk.num_values * BYTES_OF_VALUE)
                check_unpacked(self.place, name, chunk.total_compressed_size, unpacked)
                self._checked.add((group, name))

    def _groups_of(self, first: int, last: int) -> range:
        """The row groups that hold rows [first, last)."""
        if first == last:
            return range(0)
        begin = int(np.searchsorted(self._starts[1:], first, "right"))
        end = int(np.searchsorted(self._starts, last, "left"))
        return range(begin, end)

    def _decode(self, stored: list[str], first: int, last: int) -> pa.Table:
        """Decode rows [first, last) of the columns ``stored``.

        Memory is that of about twice these rows, however large the row groups are.
        """
        rows = last - first
        groups = self._groups_of(first, last)
        if not groups:
            return self._file.read_row_groups([], columns=stored, use_threads=False)
        skip = first - int(self._starts[groups[0]])  # rows of the first group that come before
        group_rows = int(self._starts[groups[-1] + 1] - self._starts[groups[0]])
        if 2 * rows >= group_rows:
            table = self._file.read_row_groups(list(groups), columns=stored, use_threads=False)
            return table.slice(skip, rows)

        # a small part of large row groups: decode in steps, keep what is wanted, and stop early
        batches = []
        position = 0  # first row of the next batch, counted from the first row group
        for batch in self._file.iter_batches(
            batch_size=rows, row_groups=list(groups), columns=stored, use_threads=False
        ):
            if position + batch.num_rows > skip:
                low = max(skip - position, 0)
                batches.append(batch.slice(low, skip + rows - position - low))
            position += batch.num_rows
            if position >= skip + rows:
                break
        return pa.Table.from_batches(batches)

    def _to_awkward(self, table: pa.Table, name: str) -> ak.Array:
        """One column of an arrow table, free of options."""
        members: list[str] = []
        outer = name
        # a dot may separate a member, or be part of a field's name
        if name not in table.column_names:
            outer, *members = name.split(".")
        layout = ak.from_arrow(table[outer], highlevel=False)
        for member in members:
            layout = layout[member]
        return ak.Array(self._without_nulls(layout, name))

    def _without_nulls(self, layout: ak.contents.Content, name: str) -> ak.contents.Content:
        """``layout`` with its option types resolved; null numbers become NaN.

        Raises:
            DataError: a column of anything but floats has null entries.
        """
        if layout.is_option:
            # parquet marks nearly every column as one that may hold nulls; usually none does
            if layout.is_unmasked:
                return self._without_nulls(layout.content, name)
            missing = layout.mask_as_bool(valid_when=False)
            if not missing.any():
                return self._without_nulls(layout.project(), name)
            if not (layout.content.is_numpy and layout.content.dtype.kind == "f"):
                raise DataError(f"{self.place}: column {name!r} has {missing.sum()} null entries")
            values = np.full(layout.length, np.nan, dtype=layout.content.dtype)
            values[~missing] = layout.project().data
            return ak.contents.NumpyArray(values)
        # strings are lists of characters: they have "__array__" set, and stay whole
        if layout.is_list and layout.parameter("__array__") is None:
            return layout.copy(content=self._without_nulls(layout.content, name))
        return layout


def _stored_paths(metadata: pq.FileMetaData) -> list[str]:
    """The paths of the stored columns in the parquet schema."""
    columns = range(metadata.num_columns)
    if not metadata.num_row_groups:
        return [metadata.schema.column(i).path for i in columns]
    # the schema and the metadata refer to each other: half a megabyte of a file with many row
    # groups would stay until Python looks for such cycles
    group = metadata.row_group(0)
    return [group.column(i).path_in_schema for i in columns]


def _type_of_numbers(kind: pa.DataType) -> Type | None:
    """The awkward type of numbers and of lists of them; None for anything else.

    What :meth:`ParquetReader._to_awkward` makes of no rows takes a hundred times as long.
    """
    # by their names: to_pandas_dtype imports pandas, in pyarrow 17
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return NumpyType(str(kind))
    if pa.types.is_floating(kind):
        return NumpyType(f"float{kind.bit_width}")
    is_array = pa.types.is_fixed_size_list(kind)
    if not (is_array or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return None
    content = _type_of_numbers(kind.value_type)
    if content is None:
        return None
    return RegularType(content, kind.list_size) if is_array else ListType(content)


def _leaves(name: str, kind: pa.DataType, in_list: bool = False) -> Iterator[tuple[str, bool]]:
    """Names of the columns stored for a field, in the file's order: one for each member.

    With whether a row has any number of values of it.
    """
    while (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        kind = kind.value_type
        in_list = True
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(f"{name}.{member.name}", member.type, in_list)
    else:
        yield name, in_list or pa.types.is_nested(kind)
