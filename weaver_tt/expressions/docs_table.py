"""The tables of functions in the docs, made from the registry.

``python -m weaver_tt.expressions.docs_table docs/data-yaml.md docs/onnx.md`` renews them.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from weaver_tt.expressions.graph_form import how_in_graph
from weaver_tt.expressions.registry import REGISTRY, Function

BEGIN = "<!-- begin: made by python -m weaver_tt.expressions.docs_table -->"
GRAPH_BEGIN = "<!-- begin graph: made by python -m weaver_tt.expressions.docs_table -->"
END = "<!-- end -->"
SHORT_PREFIXES = ("np", "ak", "math", "ak.JaggedArray", "x", "p4", "")
"""What names are shown with; ``numpy.`` and ``awkward.`` are other spellings of the same."""


def functions_table() -> str:
    """The table in Markdown: a row for neighbours in the registry that share their line of docs."""
    lines = ["| function | looks at | what it gives |", "|---|---|---|"]
    for (doc, looks_at), entries in groupby(REGISTRY, _row_of):
        lines.append(f"| {_names_cell(list(entries))} | {looks_at} | {doc} |")
    return "\n".join(lines)


def graph_table() -> str:
    """Which functions a graph of raw columns has, and how; neighbours of one kind share a row."""
    lines = ["| function | in a graph of raw columns |", "|---|---|"]
    for how, entries in groupby(REGISTRY, how_in_graph):
        lines.append(f"| {_names_cell(list(entries))} | {how} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """A page of the docs with the table between its two marks renewed.

    Raises:
        ValueError: a mark is missing.
    """
    begin, make = (GRAPH_BEGIN, graph_table) if GRAPH_BEGIN in text else (BEGIN, functions_table)
    before, _ = text.split(begin)
    _, after = text.split(END)
    return f"{before}{begin}\n{make()}\n{END}{after}"


def _row_of(entry: Function) -> tuple[str, str]:
    return entry.doc, "" if entry.rows is None else entry.rows.looks_at


def _names_cell(entries: list[Function]) -> str:
    """Names of the entries, those of one module together behind its name."""
    spans: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry.names:
            prefix, _, last = name.rpartition(".")
            if prefix in SHORT_PREFIXES:
                spans.setdefault(prefix, []).append(_with_signature(last, entry.value))
    cells = []
    for prefix, names in spans.items():
        dot = "." if prefix else ""
        cells.append(f"`{prefix}{dot}{' '.join(names)}`")
    return ", ".join(cells)


def _with_signature(name: str, value: Any) -> str:
    """A helper or method with its arguments, where it is a function of ours."""
    function = value.func if isinstance(value, partial) else value
    is_method = name.endswith("()")
    is_ours = getattr(function, "__module__", "").startswith("weaver_tt.")
    if not is_ours or not (is_method or name.startswith("_")):
        return name
    parameters = list(inspect.signature(value).parameters.values())
    if is_method:
        # the first argument stands before the dot
        parameters = parameters[1:]
    shown = [str(parameter.replace(annotation=parameter.empty)) for parameter in parameters]
    return f"{name.removesuffix('()')}({', '.join(shown)})"


def main() -> None:
    """Renew the table in the files named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_table(path.read_text()))


if __name__ == "__main__":
    main()
