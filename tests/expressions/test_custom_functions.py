"""Functions of the user's own file."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.expressions.custom_functions import (
    is_custom_function,
    known_functions,
    load_custom_functions,
)
from weaver_tt.expressions.registry import FUNCTIONS


def test_own_functions_are_found_by_name_and_their_errors_are_shown_as_they_are(tmp_path):
    good = tmp_path / "good.py"
    good.write_text(
        "import math\ndef double(x):\n    return 2 * x\nconstant = 3\n"
        "def __getattr__(name):\n    raise AttributeError(name)\n"
    )
    assert load_custom_functions(str(good))["double"](21) == 42
    assert list(load_custom_functions(str(good))) == ["double"]
    assert known_functions(str(good)).keys() == FUNCTIONS.keys() | {"double"}
    bad = tmp_path / "bad.py"
    bad.write_text("raise KeyError('mine')\n")
    with pytest.raises(KeyError, match="mine"):
        load_custom_functions(str(bad))


def test_a_file_of_own_functions_must_exist_and_hold_some(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    for name in ("empty.py", "none.py"):
        with pytest.raises(ConfigError, match=name):
            load_custom_functions(str(tmp_path / name))


def test_a_function_whose_name_begins_with_one_underscore_is_found_and_a_class_is_none(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("class Thing:\n    pass\ndef _half(x):\n    return x / 2\n")
    assert list(load_custom_functions(str(path))) == ["_half"]


def test_a_function_of_ones_own_stands_before_a_listed_one_of_its_name(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def abs(x):\n    return 7\n")
    functions = known_functions(str(path))
    assert functions["abs"](-1) == 7
    assert FUNCTIONS["abs"](-1) == 1
    assert is_custom_function("abs", functions)
    assert not is_custom_function("round", functions)


def test_a_file_of_own_functions_may_use_weavers_import_names(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("from utils.data.tools import _pad\ndef first(x):\n    return _pad(x, 1)\n")
    assert load_custom_functions(str(path))["first"]([[3, 4], [5]]).tolist() == [[3], [5]]
