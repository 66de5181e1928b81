"""What is written as JSON can be read by everybody: no NaN, no infinity."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from weaver_tt.errors import ConfigError, DataError, OutputError
from weaver_tt.system.file_shapes import NUMBER, NamesTo
from weaver_tt.system.json_files import (
    explaining_damage,
    finite_or_none,
    json_text,
    read_json,
    strict_json_text,
    write_json,
)

NOT_FINITE = {"a": 1.5, "b": [math.nan, {"c": -math.inf}, (2, math.inf)], "d": "NaN", "e": None}


def test_what_is_not_finite_is_none_however_deep():
    expected = {"a": 1.5, "b": [None, {"c": None}, [2, None]], "d": "NaN", "e": None}
    assert finite_or_none(NOT_FINITE) == expected
    assert json.loads(json_text(NOT_FINITE)) == expected


def test_numbers_of_numpy_are_numbers():
    content = {
        "one": np.float32(0.5),
        "nan": np.float64("nan"),
        "whole": np.int64(3),
        "flag": np.bool_(True),
        "many": np.array([[1.0, np.inf]]),
        "path": Path("a/b"),
    }
    assert json.loads(json_text(content)) == {
        "one": 0.5,
        "nan": None,
        "whole": 3,
        "flag": True,
        "many": [[1.0, None]],
        "path": "a/b",
    }


def test_a_file_is_one_text_with_an_end_of_line(tmp_path):
    write_json(tmp_path / "new" / "file.json", {"a": math.nan})
    assert (tmp_path / "new" / "file.json").read_text() == '{\n "a": null\n}\n'


def test_readers_that_take_no_null_get_no_file():
    assert json.loads(strict_json_text({"a": 1.0}, "a.json")) == {"a": 1.0}
    with pytest.raises(OutputError, match=r"a\.json: a number is NaN or infinite"):
        strict_json_text(NOT_FINITE, "a.json")


def test_a_file_of_another_shape_or_none_is_refused_by_name(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "b": "much"}')
    with pytest.raises(DataError, match=r"a\.json: b: expected int or float, found 'much'"):
        read_json(path, NamesTo(NUMBER))
    path.write_text('{"a": 1, "b"')
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_json(path, NamesTo(NUMBER))
    with pytest.raises(DataError, match=r"b\.json: no such file; did you mean 'a\.json'"):
        read_json(tmp_path / "b.json", NamesTo(NUMBER))


def test_nobody_else_writes_json():
    """Else NaN would come back in the next file that somebody adds."""
    package = Path(__file__).parents[2] / "weaver_tt"
    # a hash is no file
    allowed = {"system/json_files.py", "data/statistics/fingerprint.py"}
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "json.dump" in path.read_text()
    }
    assert found == allowed


@pytest.mark.parametrize(
    "problem", [KeyError("corrections"), TypeError("a list"), RecursionError()]
)
def test_whatever_is_wrong_with_a_document_is_one_error_that_says_what_wrote_it(problem):
    with (
        pytest.raises(ConfigError, match=r"m\.json: not a map as `weaver-tt map` writes it: "),
        explaining_damage("m.json", "the map", "a map", "weaver-tt map"),
    ):
        raise problem
    with (
        pytest.raises(ConfigError, match=r"m\.json: cannot read the map: a folder"),
        explaining_damage("m.json", "the map", "a map", "weaver-tt map"),
    ):
        raise IsADirectoryError("a folder")
    with (
        pytest.raises(ConfigError, match=r"no/m\.json: no such file; there are none"),
        explaining_damage("no/m.json", "the map", "a map", "weaver-tt map"),
    ):
        raise FileNotFoundError
