"""The table of functions in the docs."""

import math
from pathlib import Path

import pytest

from weaver_tt.expressions.docs_table import BEGIN, END, functions_table, graph_table, with_table

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["data-yaml.md", "onnx.md"]


@pytest.mark.skipif(not hasattr(math, "exp2"), reason="python before 3.11 lacks some functions")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_says_what_the_registry_says(name):
    page = (DOCS / name).read_text()
    assert with_table(page) == page, f"run `python -m weaver_tt.expressions.docs_table docs/{name}`"


def test_rows_show_names_arguments_and_what_a_function_looks_at():
    rows = functions_table().splitlines()
    assert "| `np.around round` | value | rounding to a number of decimals |" in rows
    assert "| `x.pad(length, clip=False)` | row | " in functions_table()
    assert "| `p4.deltaR(other)` | value | distance in (eta, phi) |" in rows
    assert all(row.count("|") == 4 for row in rows)


def test_the_table_of_graphs_says_how_each_function_is_there():
    rows = graph_table().splitlines()
    assert "| `np.sqrt` | exact |" in rows
    assert "| `np.gcd lcm` | refused: it needs a loop |" in rows
    assert any(row.endswith("| composed |") and "arctan2" in row for row in rows)


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="not enough values"):
        with_table("no table here")
    assert with_table(f"a\n{BEGIN}\nold\n{END}\nb").startswith(f"a\n{BEGIN}\n| function |")
