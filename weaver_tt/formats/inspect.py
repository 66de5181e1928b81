"""What is in a data file: its rows, and the types of its columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import awkward as ak

from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.root_reader import tree_names
from weaver_tt.system.wording import counted, size_text


def describe_data(path: str, treename: str | None = None) -> Iterator[str]:
    """Lines that say what is in the data file ``path``: of several trees, each in a line.

    Raises:
        DataError: it cannot be opened, or has no such tree.
    """
    if treename is None and Path(path).suffix == ".root":
        names = tree_names(path)
        if len(names) > 1:
            yield f"{path}: {_size_of_file(path)}{counted(len(names), 'tree')}"
            for name in names:
                with open_reader(path, name) as reader:
                    yield f"  {name}: {_sizes(reader)}"
            yield "columns of one: --treename NAME"
            return
    with open_reader(path, treename) as reader:
        yield f"{reader.place}: {_size_of_file(path)}{_sizes(reader)}"
        yield from _describe_columns(reader)


def _size_of_file(path: str) -> str:
    return "" if is_remote(path) else f"{size_text(os.path.getsize(path))}, "


def _sizes(reader: Reader) -> str:
    return f"{counted(reader.rows(), 'row')}, {counted(len(reader.columns()), 'column')}"


def _describe_columns(reader: Reader) -> Iterator[str]:
    """Columns by what a row has of them, each with its type."""
    types, refused = _types_of(reader)
    of_rows = {name: kind for name, kind in types.items() if "*" not in kind}
    yield from _list_columns("a value for each row", of_rows)
    yield from _list_columns(
        "lists, of any length (var) or a fixed one",
        {name: kind for name, kind in types.items() if name not in of_rows},
    )
    yield from _list_columns("cannot be read", refused)


def _types_of(reader: Reader) -> tuple[dict[str, str], dict[str, str]]:
    """The types of the columns that can be read, and why others cannot."""
    names = reader.columns()
    types: Mapping[str, ak.types.Type]
    refused = {}
    try:
        types = reader.types(names)
    except DataError:
        # one by one: which it is
        types = {}
        for name in names:
            try:
                types = {**types, **reader.types([name])}
            except DataError as error:
                refused[name] = str(error).removeprefix(f"{reader.place}: column {name!r}: ")
    return {name: str(kind) for name, kind in types.items()}, refused


def _list_columns(title: str, columns: Mapping[str, str]) -> Iterator[str]:
    if not columns:
        return
    yield title
    width = min(max(map(len, columns)), 40)
    # one looks for a name, and files have them in any order
    for name in sorted(columns, key=str.lower):
        text = columns[name]
        yield f"  {name:<{width}}  {text}"
