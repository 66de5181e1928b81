"""Functions of the user's own file."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.expressions.custom_functions import known_functions, load_custom_functions
from weaver_tt.expressions.registry import FUNCTIONS


def test_own_functions_are_found_by_name_and_their_errors_are_shown_as_they_are(tmp_path):
    good = tmp_path / "good.py"
    good.write_text("import math\ndef double(x):\n    return 2 * x\nconstant = 3\n")
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
