"""A ROOT RNTuple: columns are decoded cluster by cluster."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from uproot.const import RNTupleFieldRole as Role

from weaver_tt.formats.reader import Reader, blame_file, column_spellings

_COLUMN = re.compile(r"column-\d+(-cardinality)?")


class RNTupleReader(Reader):
    """An RNTuple. Columns are its fields; members of records and of lists of records are columns ``record.member``."""

    def __init__(self, path: str, treename: str, file: Any) -> None:
        super().__init__(path, f"{path}, RNTuple {treename!r}")
        self._file = file
        with blame_file(self.place, "the RNTuple"):
            self._ntuple = file[treename]
            clusters = [
                (int(cluster.num_first_entry), int(cluster.num_entries))
                for cluster in self._ntuple.cluster_summaries
            ]
            self._fields = dict(_leaf_fields(self._ntuple))
        self._rows = max((first + rows for first, rows in clusters), default=0)
        self._starts = np.array(
            [first for first, _ in clusters] + [self._rows]
        )  # of each cluster, and the end
        self._spellings = column_spellings(self._fields)
        self._forms: dict[str, tuple[ak.forms.RecordForm, list[str]]] = {}

    def columns(self) -> list[str]:
        return list(self._fields)

    def rows(self) -> int:
        return self._rows

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        return sorted({0, *self._starts.tolist()})

    def _close(self) -> None:
        self._file.close()

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        decoded: dict[
            int, npt.NDArray[Any]
        ] = {}  # by column number: fields of one collection share the column of its offsets
        return {name: self._read_field(name, first, last, decoded) for name in names}

    def _read_field(
        self, name: str, first: int, last: int, decoded: dict[int, npt.NDArray[Any]]
    ) -> ak.Array:
        """One field, decoded from the clusters that hold rows [first, last) and no others (``RField.array`` takes one more)."""
        form, inner = self._form(name)
        keys = list(_buffers(form))
        if first == last or not all(self._is_plain(key) for key in keys):
            return self._fields[name].array(entry_start=first, entry_stop=last)
        begin, end = (
            int(np.searchsorted(self._starts[1:], first, "right")),
            int(np.searchsorted(self._starts, last, "left")),
        )
        for number in {_column_number(key) for key in keys} - set(decoded):
            decoded[number] = self._ntuple.read_cluster_range(number, begin, end)
        buffers: dict[str, npt.NDArray[Any]] = {}
        for key in keys:
            values = decoded[_column_number(key)]
            buffers |= {
                f"{key}-data": np.diff(values) if key.endswith("-cardinality") else values,
                f"{key}-offsets": values,
            }
        start = int(self._starts[begin])
        array = ak.from_buffers(form, int(self._starts[end]) - start, buffers)[form.fields[0]][
            first - start : last - start
        ]
        for member in inner:
            array = array[member]
        return array

    def _form(self, name: str) -> tuple[ak.forms.RecordForm, list[str]]:
        """A record with the one field that leads to a column, and the members to take from there."""
        if name not in self._forms:
            field = self._fields[name]
            if field.top_level:  # what to_akform gives, without its search through all fields
                self._forms[name] = (
                    ak.forms.RecordForm([self._ntuple.field_form(field.field_id, [name])], [name]),
                    [],
                )
            else:
                form, path = field.to_akform()
                self._forms[name] = form, path[1:]
        return self._forms[name]

    def _is_plain(self, key: str) -> bool:
        """Whether a buffer is one column of the file, present in all clusters."""
        return (
            _COLUMN.fullmatch(key) is not None
            and not self._ntuple.column_records[_column_number(key)].first_element_index
        )


def _column_number(key: str) -> int:
    """The file's number of the column that a buffer is made from."""
    return int(key.split("-")[1])


def _buffers(form: ak.forms.Form) -> Iterator[str]:
    """Keys of the buffers that ``form`` is made of."""
    if not (form.is_record or form.is_regular):
        yield form.form_key or ""
    for part in (
        form.contents
        if hasattr(form, "contents")
        else [form.content]
        if hasattr(form, "content")
        else []
    ):
        yield from _buffers(part)


def _leaf_fields(ntuple: Any) -> Iterator[tuple[str, Any]]:
    """Path and field of everything that is not a record, or a list of records, of further fields."""
    children: dict[int, list[int]] = defaultdict(list)
    top: list[int] = []
    for number, record in enumerate(ntuple.field_records):
        (top if record.parent_field_id == number else children[record.parent_field_id]).append(
            number
        )
    fields = ntuple.all_fields

    def below(number: int) -> Iterator[tuple[str, Any]]:
        inside = number
        if (
            ntuple.field_records[number].struct_role == Role.COLLECTION
            and len(children[number]) == 1
        ):
            (inside,) = children[number]
        if ntuple.field_records[inside].struct_role == Role.RECORD and children[inside]:
            for child in children[inside]:
                yield from below(child)
        else:
            yield fields[number].path or fields[number].name, fields[number]

    for number in top:
        yield from below(number)
