"""Observers of no rows have the types that they have with rows."""

from __future__ import annotations

import awkward as ak
import numpy as np
from awkward.types import from_datashape

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.rows.observers import empty_observers
from weaver_tt.data.rows.table import make_table
from weaver_tt.data.rows.tensors import to_rows

TYPES = {"n": "uint32", "pt": "var * float32", "flag": "bool", "name": "string"}
VARIABLES = {
    "few": "n - 4",
    "leading": "ak.max(pt, axis=1)",
    "place": "ak.argmax(pt, axis=1)",
    "hard": "pt[pt > 20]",
    "ratio": "pt / n",
    "passed": "flag & (n > 1)",
    "either": "np.where(flag, n, 0.5)",
    "sample2": "sample * 2",
    "first": "ak.firsts(pt)",
    "first_index": "ak.firsts(ak.argsort(pt, axis=1))",
}


def test_expressions_have_the_same_type_with_and_without_rows():
    config = from_mapping(
        {
            "inputs": {"event": {"length": None, "vars": ["n"]}},
            "file_magic": {"sample": {"a": 1, "b": 0.5}},
            "new_variables": VARIABLES,
            "labels": {"type": "simple", "value": ["flag", "passed"]},
            "observers": [*TYPES, *VARIABLES, "sample"],
        }
    )
    plan = make_plan(config, "predict")
    raw = {
        "n": ak.Array(np.array([2, 1], "uint32")),
        "pt": ak.values_astype(ak.Array([[30.0, 10.0], []]), "float32"),
        "flag": ak.Array([True, False]),
        "name": ak.Array(["x", "yz"]),
    }
    table, _ = make_table(raw, plan, config, "a.root", "g")
    types = {name: from_datashape(text, highlevel=False) for name, text in TYPES.items()}
    empty = empty_observers(TYPES, types, plan, config)
    rows, _ = to_rows(table, config, plan)
    assert {name: str(array.type.content) for name, array in empty.items()} == {
        name: str(array.type.content) for name, array in rows.observers.items()
    }
    assert all(len(array) == 0 for array in empty.values())
    # the value of another file would be 0.5
    assert str(empty["sample"].type) == "0 * float64"


def test_what_is_known_only_from_rows_is_left_out(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import numpy as np\n\n\ndef parity(x):\n    return np.array([v % 2 for v in x])\n"
    )
    config = from_mapping(
        {
            "inputs": {"event": {"length": None, "vars": ["n"]}},
            "new_variables": {"odd": "parity(n)", "twice": "odd * 2", "small": "n < 3"},
            "observers": ["n", "odd", "twice", "small"],
        },
        "x.yaml",
        custom_functions=str(own),
    )
    types = {"n": from_datashape("uint32", highlevel=False)}
    empty = empty_observers(["n"], types, make_plan(config, "predict"), config)
    assert {name: str(array.type) for name, array in empty.items()} == {
        "n": "0 * uint32",
        "small": "0 * bool",
    }


def test_a_label_that_is_the_number_of_the_class_has_its_type_without_rows():
    labels = {"type": "custom", "value": {"truth": "n - 1"}, "classes": ["a", "b"]}
    inputs = {"event": {"length": None, "vars": ["n"]}}
    config = from_mapping({"inputs": inputs, "labels": labels})
    plan = make_plan(config, "predict")
    types = {"n": from_datashape("uint32", highlevel=False)}
    empty = empty_observers(["n"], types, plan, config)
    table, _ = make_table({"n": ak.Array(np.array([2, 1], "uint32"))}, plan, config, "a.root", "g")
    rows, _ = to_rows(table, config, plan)
    assert {name: str(array.type) for name, array in empty.items()} == {"truth": "0 * float32"}
    assert {name: array.tolist() for name, array in rows.observers.items()} == {"truth": [1, 0]}
