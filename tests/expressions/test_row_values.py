"""Values by role, of columns and of expressions of columns."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.row_values import columns_of, parse_sources, values_by_role

TABLE = {"m": ak.Array([2.0, 4.0]), "pt": ak.Array([1.0, 2]), "parts": ak.Array([[1.0], []])}


def test_expressions_give_a_number_for_each_row():
    expressions = parse_sources({"ratio": "m / pt", "pt": "pt", "chosen": "(m > 3) & (pt > 1)"})
    assert columns_of(expressions) == ("m", "pt")
    values = values_by_role(expressions, TABLE)
    assert {role: column.tolist() for role, column in values.items()} == {
        "ratio": [2, 2],
        "pt": [1, 2],
        "chosen": [0, 1],
    }
    assert all(column.dtype == np.float64 for column in values.values())


def test_what_gives_no_number_is_explained():
    with pytest.raises(DataError, match=r"no column 'mm' \(mass\); did you mean 'm'"):
        values_by_role(parse_sources({"mass": "mm"}), TABLE)
    with pytest.raises(DataError, match=r"'parts' \(pt\) must give one number a row"):
        values_by_role(parse_sources({"pt": "parts"}), TABLE)
    with pytest.raises(ConfigError, match="pt: "):
        parse_sources({"pt": "m +"})
