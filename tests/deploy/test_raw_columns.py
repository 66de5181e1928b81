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
    found = raw_inputs(TAKEN, COLUMNS, "raw.onnx")
    assert set(found) == {"pt", "offsets", "charge", "met"}
    assert found["offsets"].tolist() == [0, 2, 2, 3]
    assert found["pt"].tolist() == [1.5, 2.5, 3.5]
    kinds = {name: values.dtype.name for name, values in found.items()}
    assert kinds == {"pt": "float32", "offsets": "int64", "charge": "int8", "met": "float64"}


def test_values_with_offsets_may_begin_anywhere_in_a_larger_buffer():
    """As those of a range of rows of a file: the first two values are those of rows before."""
    offsets = np.array([2, 4, 4, 5], np.uint32)
    columns = COLUMNS | {"pt": (np.array([9.0, 9.0, 1.5, 2.5, 3.5, 9.0]), offsets)}
    found = raw_inputs(TAKEN, columns, "raw.onnx")
    assert found["offsets"].tolist() == [0, 2, 2, 3]
    assert found["offsets"].dtype == np.int64
    assert found["pt"].tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize("value", [0.5, 128, np.nan, -200])
def test_numbers_that_the_type_of_the_graph_has_not_are_refused(value):
    with pytest.raises(DataError, match=rf"'charge': {float(value)} is no int8"):
        raw_inputs(TAKEN, COLUMNS | {"charge": [[1, -1], [], [float(value)]]}, "raw.onnx")


def test_records_and_columns_that_are_not_needed_are_fine():
    found = raw_inputs(TAKEN, ak.Array(COLUMNS | {"other": ["a", "b", "c"]}), "raw.onnx")
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
        ({"charge": [[1], [], [0]]}, "'charge' .* has 1 value in row 0, others have 2"),
        ({"pt": [1, 2, 3]}, "'pt' of those with 'offsets': has one number for each row"),
        ({"met": [[1], [2], [3]]}, "'met' of numbers of rows: has lists"),
        ({"met": [1, None, 3]}, "'met': "),
        ({"met": [1, 2]}, "different numbers of rows: pt: 3, charge: 3, met: 2"),
    ],
)
def test_columns_of_another_form_are_refused_by_name(changed, message):
    with pytest.raises(DataError, match=message):
        raw_inputs(TAKEN, COLUMNS | changed, "raw.onnx")


def test_a_missing_column_is_named_with_the_nearest():
    columns = {"pt": COLUMNS["pt"], "charge": COLUMNS["charge"], "MET": np.ones(3)}
    with pytest.raises(DataError, match=r"raw.onnx: .* the column 'met'; did you mean 'MET'"):
        raw_inputs(TAKEN, columns, "raw.onnx")
