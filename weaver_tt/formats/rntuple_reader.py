"""The reader of a ROOT RNTuple: columns are decoded cluster by cluster."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from uproot.const import RNTupleFieldRole as Role

from weaver_tt.formats.reader import Reader, blame_file, check_unpacked, column_spellings

# uproot's key of a buffer that is one column of the file
_COLUMN = re.compile(r"column-\d+(-cardinality)?")


class RNTupleReader(Reader):
    """An RNTuple. Columns are its fields.

    Members of records, and of lists of records, are columns ``record.member``.
    """

    def __init__(self, path: str, treename: str, file: Any) -> None:
        super().__init__(path, f"{path}, RNTuple {treename!r}")
        self._file = file
        starts = []
        self._rows = 0
        with blame_file(self.place, "the RNTuple"):
            self._ntuple = file[treename]
            for cluster in self._ntuple.cluster_summaries:
                start = int(cluster.num_first_entry)
                starts.append(start)
                self._rows = max(self._rows, start + int(cluster.num_entries))
            self._fields = dict(_leaf_fields(self._ntuple))
        self._starts = np.array([*starts, self._rows])  # of each cluster, and the end
        self._spellings = column_spellings(self._fields)
        self._forms: dict[str, tuple[ak.forms.RecordForm, list[str]]] = {}

    def columns(self) -> list[str]:
        return list(self._fields)

    def rows(self) -> int:
        return self._rows

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Boundaries of the file's clusters, which all columns share."""
        return sorted({0, *self._starts.tolist()})

    def _close(self) -> None:
        self._file.close()

    def stored_type(self, name: str) -> str:
        """The C++ type of the field."""
        return str(self._ntuple.field_records[self._fields[name].field_id].type_name)

    def _types(self, names: Sequence[str]) -> dict[str, ak.types.Type]:
        types = {}
        for name in names:
            form, members = self._form(name)
            array = ak.Array(form.length_zero_array(highlevel=False))[form.fields[0]]
            for member in members:
                array = array[member]
            types[name] = array.type.content
        return types

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        # column number -> values; fields of one collection share the column of its offsets, which
        # is decoded once
        decoded: dict[int, npt.NDArray[Any]] = {}
        return {name: self._read_field(name, first, last, decoded) for name in names}

    def _read_field(
        self, name: str, first: int, last: int, decoded: dict[int, npt.NDArray[Any]]
    ) -> ak.Array:
        """One field, decoded from the clusters that hold rows [first, last) and no others.

        uproot's ``RField.array`` decodes one cluster more.
        """
        form, members = self._form(name)
        keys = list(_buffer_keys(form))
        if first == last or not all(self._is_plain(key) for key in keys):
            return self._fields[name].array(entry_start=first, entry_stop=last)

        # the clusters [begin, end) hold the rows
        begin = int(np.searchsorted(self._starts[1:], first, "right"))
        end = int(np.searchsorted(self._starts, last, "left"))
        for number in {_column_number(key) for key in keys}:
            if number not in decoded:
                self._check_sizes(name, number, begin, end)
                decoded[number] = self._ntuple.read_cluster_range(number, begin, end)

        # awkward puts the array together from its buffers, under the keys of the form
        buffers: dict[str, npt.NDArray[Any]] = {}
        for key in keys:
            values = decoded[_column_number(key)]
            buffers[f"{key}-offsets"] = values
            # a field that counts the entries of a collection is stored as the collection's offsets
            if key.endswith("-cardinality"):
                values = np.diff(values)
            buffers[f"{key}-data"] = values
        start = int(self._starts[begin])
        stop = int(self._starts[end])
        records = ak.from_buffers(form, stop - start, buffers)
        array = records[form.fields[0]][first - start : last - start]
        for member in members:
            array = array[member]
        return array

    def _check_sizes(self, name: str, number: int, begin: int, end: int) -> None:
        """Check what a column of the file unpacks to in the clusters [begin, end).

        Raises:
            BadFileError: that is no data.
        """
        bits = self._ntuple.column_records[number].nbits
        for of_cluster in self._ntuple.page_link_list[begin:end]:
            pages = of_cluster[number].pages if number < len(of_cluster) else []
            stored = sum(page.locator.num_bytes for page in pages)
            elements = sum(page.num_elements for page in pages)
            check_unpacked(self.place, name, stored, elements * bits // 8)

    def _form(self, name: str) -> tuple[ak.forms.RecordForm, list[str]]:
        """A record with the one field that leads to a column, and the members to take from it."""
        if name not in self._forms:
            self._forms[name] = self._make_form(name)
        return self._forms[name]

    def _make_form(self, name: str) -> tuple[ak.forms.RecordForm, list[str]]:
        """See :meth:`_form`."""
        field = self._fields[name]
        if field.top_level:
            # what to_akform gives, without its search through all fields
            field_form = self._ntuple.field_form(field.field_id, [name])
            return ak.forms.RecordForm([field_form], [name]), []
        form, path = field.to_akform()
        return form, path[1:]

    def _is_plain(self, key: str) -> bool:
        """Whether a buffer is one column of the file, present in all clusters."""
        if _COLUMN.fullmatch(key) is None:
            return False
        # a column that was added while the file was being written begins at a later element
        return not self._ntuple.column_records[_column_number(key)].first_element_index


def _column_number(key: str) -> int:
    """The file's number of the column that a buffer is made from."""
    return int(key.split("-")[1])


def _buffer_keys(form: ak.forms.Form) -> Iterator[str]:
    """Keys of the buffers that ``form`` is made of."""
    if not (form.is_record or form.is_regular):
        yield form.form_key or ""
    parts = []
    if hasattr(form, "contents"):
        parts = form.contents
    elif hasattr(form, "content"):
        parts = [form.content]
    for part in parts:
        yield from _buffer_keys(part)


def _leaf_fields(ntuple: Any) -> Iterator[tuple[str, Any]]:
    """Path and field of every field that is not a record, or a list of records, of further ones."""
    children: dict[int, list[int]] = defaultdict(list)  # number of a field -> those inside it
    top: list[int] = []
    for number, record in enumerate(ntuple.field_records):
        # a field without a parent names itself
        if record.parent_field_id == number:
            top.append(number)
        else:
            children[record.parent_field_id].append(number)
    fields = ntuple.all_fields

    def walk(number: int) -> Iterator[tuple[str, Any]]:
        # a list holds one nameless field, which may be the record
        inside = number
        is_list = ntuple.field_records[number].struct_role == Role.COLLECTION
        if is_list and len(children[number]) == 1:
            inside = children[number][0]
        is_record = ntuple.field_records[inside].struct_role == Role.RECORD
        if is_record and children[inside]:
            for child in children[inside]:
                yield from walk(child)
        else:
            field = fields[number]
            yield field.path or field.name, field

    for number in top:
        yield from walk(number)
