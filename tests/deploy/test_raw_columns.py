"""Raw columns in any form become the inputs of a graph that takes them."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.deploy.raw_columns import (
    RAW_COLUMNS,
    RawColumn,
    columns_text,
    raw_inputs,
    read_raw_columns,
)
from weaver_tt.errors import ConfigError, DataError

TAKEN = {
    "pt": RawColumn("float32", "offsets"),
    "charge": RawColumn("int8", "offsets"),
    "met": RawColumn("float64", None),
}
COLUMNS = {"pt": [[1.5, 2.5], [], [3.5]], "charge": [[1, -1], [], [0]], "met": [7.0, 8.0, 9.0]}


def test_lists_become_flat_columns_and_offsets():
    found = raw_inputs(TAKEN, COLUMNS)
    assert list(found) == ["pt", "offsets", "charge", "met"]
    assert found["offsets"].tolist() == [0, 2, 2, 3]
    assert found["pt"].tolist() == [1.5, 2.5, 3.5]
    kinds = {name: values.dtype.name for name, values in found.items()}
    assert kinds == {"pt": "float32", "offsets": "int64", "charge": "int8", "met": "float64"}


def test_records_and_columns_that_are_not_needed_are_fine():
    found = raw_inputs(TAKEN, ak.Array(COLUMNS | {"other": ["a", "b", "c"]}))
    assert found["met"].tolist() == [7, 8, 9]


def test_a_graph_says_what_it_takes():
    assert read_raw_columns({RAW_COLUMNS: columns_text(TAKEN)}, "raw.onnx") == TAKEN


def test_other_graphs_and_damaged_metadata_are_refused():
    with pytest.raises(ConfigError, match=r"model.onnx: takes no raw columns"):
        read_raw_columns({}, "model.onnx")
    with pytest.raises(DataError, match=r"raw.onnx: damaged metadata"):
        read_raw_columns({RAW_COLUMNS: '{"pt": {"type": 3}}'}, "raw.onnx")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"charge": [[1], [], [0]]}, "'charge' differs from others of 'offsets'"),
        ({"pt": [1, 2, 3]}, "'pt': expected lists of numbers, its type is 3"),
        ({"met": [[1], [2], [3]]}, "'met': expected one number for each row"),
        ({"met": [1, None, 3]}, "'met': "),
    ],
)
def test_columns_of_another_form_are_refused_by_name(changed, message):
    with pytest.raises(DataError, match=message):
        raw_inputs(TAKEN, COLUMNS | changed)


def test_a_missing_column_is_named_with_the_nearest():
    columns = {"pt": COLUMNS["pt"], "charge": COLUMNS["charge"], "MET": np.ones(3)}
    with pytest.raises(DataError, match=r"no column 'met'; did you mean 'MET'"):
        raw_inputs(TAKEN, columns)
