"""The first thing that is wrong with a file is named with its place."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import DataError
from weaver_tt.system.file_shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    AnyOf,
    ListOf,
    NamesTo,
    Value,
    shape_problem,
)
from weaver_tt.system.json_files import parse_json

SHAPE = {
    "name": TEXT,
    "rows": COUNT,
    "share?": Value((int, float), least=0, most=1),
    "pairs": ListOf(ListOf(TEXT, length=2)),
    "files": NamesTo(COUNT),
    "either": AnyOf((COUNT, ListOf(TEXT))),
    "kind?": Value((str,), choices=("a", "b")),
}
WHOLE = {"name": "x", "rows": 3, "pairs": [["a", "b"]], "files": {"f": 1}, "either": []}


def test_what_has_the_shape_has_no_problem_and_may_have_more():
    assert shape_problem(WHOLE, SHAPE) is None
    assert shape_problem({**WHOLE, "more": 1, "share": 0.5, "either": 7}, SHAPE) is None
    assert shape_problem({"t": (1, torch.ones(2))}, {"t": ListOf(ANYTHING)}) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": 5}, "name: expected str, found 5"),
        ({"rows": -1}, "rows: expected at least 0, found -1"),
        ({"rows": True}, "rows: expected int, found True"),
        ({"rows": 2.0}, "rows: expected int, found 2.0"),
        ({"share": 2}, "share: expected at most 1, found 2"),
        ({"share": float("nan")}, "share: expected at least 0, found nan"),
        ({"pairs": [["a", "b"], ["c"]]}, "pairs[1]: expected a list of 2, found list"),
        ({"pairs": "ab"}, "pairs: expected a list, found 'ab'"),
        ({"files": {"f": None}}, "files.f: expected int, found None"),
        ({"files": []}, "files: expected names with values, found list"),
        ({"either": "text"}, "either: expected int, found 'text'"),
        ({"kind": "c"}, "kind: expected a or b, found 'c'"),
        ({"name": ["x"] * 10**6}, "name: expected str, found list"),
    ],
)
def test_the_first_problem_has_its_place(change, problem):
    assert shape_problem({**WHOLE, **change}, SHAPE) == problem


def test_a_missing_key_is_named():
    assert shape_problem({}, SHAPE) == "there is no name"
    assert shape_problem([], SHAPE) == "the content: expected keys with values, found list"
    assert shape_problem({"a": {}}, {"a": {"b": TEXT}}) == "there is no a.b"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"name": 1', "nul", "\x00", "9" * 5000])
def test_what_is_no_json_is_said(text):
    with pytest.raises(DataError, match=r"^card.json: "):
        parse_json(text, SHAPE, "card.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WHOLE, "x"]), inner),
)


@given(JSON)
def test_any_content_has_a_problem_or_the_shape(content):
    problem = shape_problem(content, SHAPE)
    assert problem is None or isinstance(problem, str)
    assert shape_problem(content, ANYTHING) is None
    assert (shape_problem(content, NUMBER) is None) == (type(content) in (int, float))
