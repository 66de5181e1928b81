"""What an operation would make is counted before it is made."""

import awkward as ak
import numpy as np
import pytest

from tests.cpu_time import cpu_seconds_below
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions import methods
from weaver_tt.expressions.call_limits import check_call
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.registry import HELPERS

COUNTS = [60, 0, 3]
TABLE = {
    "x": ak.unflatten(np.arange(63.0), COUNTS),
    "y": ak.unflatten(np.arange(63.0), COUNTS),
    "n": np.array([1, 2, 3]),
    "points": ak.Array([[[1.0, 2.0], [3.0, 4.0]], [], [[5.0, 6.0]]]),
}


def value(source):
    return evaluate(parse_expression(source, "x.yaml"), TABLE)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x.pad(1000000)", "cannot pad to 1000000 objects"),
        ("_pad(x, 10**9)", "cannot pad to 1000000000 objects"),
        ("_repeat_pad(x, 10**9)", "cannot pad to 1000000000 objects"),
        ("ak.combinations(x, 2, axis=0)", "looks across rows"),
        ("ak.combinations(x, 6)", "values for each row; at most 1000000"),
        ("ak.cartesian([x, y, x, y])", "values for each row"),
        ("_pad(x, 9999)[:, :, None] * _pad(x, 9999)[:, None, :]", "1e[+]08 values for each row"),
        ("x.pad(9999)[:, :, None] * x.pad(9999)[:, None, :]", "1e[+]08 values for each row"),
        ("x[:, :, None] * _pad(x, 60000)[:, None, :]", "1.26e[+]06 values for each row"),
        ("_batch_knn(points, points, 10**9, 2)", "cannot pad to 1000000000"),
        ("_batch_knn(points, points, 10**5, 10**5)", "1e[+]10 values for each row"),
        ("x.astype('S1000000')", "'S1000000' is no type of numbers"),
        ("n.astype('1000000f8')", "'1000000f8' is no type of numbers"),
        ("np.full_like(n, 1, dtype='O')", "'O' is no type of numbers"),
        ("ak.where(x > 0, x, 'no type')", "its values are str.*, no numbers"),
        ("round(n, -10**18)", "-1000000000000000000 decimals"),
        ("np.around(x, decimals=10**9)", "1000000000 decimals"),
        ("x[:, ::0]", "a step of 0 goes nowhere"),
        ("_hash(n, 'no type')", "in _hash.n, 'no type'.: "),
        ("ak.cartesian([x, y], nested=5)", "in ak.cartesian"),
        ("math.ldexp(1, 10**18)", "math range error"),
    ],
)
def test_what_no_memory_holds_or_no_time_suffices_for_is_an_error_at_once(source, problem):
    with (
        cpu_seconds_below(1),
        pytest.raises((DataError, ConfigError), match=problem) as caught,
    ):
        value(source)
    assert source.split("(")[0] in str(caught.value)


def test_what_physicists_ask_for_is_made():
    assert ak.num(value("x[:, :, np.newaxis] - x[:, np.newaxis, :]")).to_list() == COUNTS
    assert len(value("ak.cartesian([x, y])")[2]) == 9
    assert len(value("ak.combinations(x, 3)")[2]) == 1  # of 3 objects
    assert value("_pad(x, 1000)").shape == (3, 1000)
    assert len(value("ak.concatenate([x, y, x], axis=1)")[0]) == 180
    assert value("_stack([n, n], 1)").tolist() == [[1, 1], [2, 2], [3, 3]]
    pairs = value("ak.concatenate([ak.cartesian([x, y]), ak.cartesian([x, y])], axis=1)")
    assert len(pairs[2]) == 18
    momenta = "_p4_from_ptetaphim(x, x, x, x)"
    assert len(value(f"ak.num(ak.cartesian([{momenta}, {momenta}]))")) == 3
    assert value("np.round(n / 3, 2)").tolist() == [0.33, 0.67, 1]


def test_the_limit_is_counted_by_row_and_not_by_what_is_read_together(monkeypatch):
    # 60 x 60, 0 and 3 x 3 pairs of two values: 7218, or 2406 for each row
    pairs = (ak.cartesian, [[TABLE["x"], TABLE["y"]]], {})
    monkeypatch.setattr(methods, "MAX_PER_ROW", 2406)
    check_call(*pairs)
    monkeypatch.setattr(methods, "MAX_PER_ROW", 2405)
    with pytest.raises(DataError, match=r"2.41e[+]03 values for each row"):
        check_call(*pairs)
    monkeypatch.setattr(methods, "MAX_PER_ROW", 10**6)
    monkeypatch.setattr(methods, "MAX_VALUES", 7217)
    with pytest.raises(DataError, match=r"3 rows that are read together.*--pool-size"):
        check_call(*pairs)


def test_a_column_that_doubles_with_each_new_variable_is_stopped():
    table = dict(TABLE)
    doubled = parse_expression("_concat([x, x], 1)", "x.yaml")
    # 63 values of 3 rows, doubled 15 times, are 688128 a row; once more is too much
    for _ in range(15):
        table["x"] = evaluate(doubled, table)
    with pytest.raises(DataError, match=r"1.38e\+06 values for each row"):
        evaluate(doubled, table)


def test_a_few_rows_of_a_large_array_are_not_taken_for_all_of_it(monkeypatch):
    lists = ak.Array([[[1.0]]] * 1000)[:1]
    monkeypatch.setattr(methods, "MAX_PER_ROW", 10)
    assert evaluate(parse_expression("x * 2", "x.yaml"), {"x": lists}).to_list() == [[[2.0]]]


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), TypeError("no")])
def test_what_evaluation_runs_into_is_shown_with_the_expression(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("weaver_tt.expressions.evaluate.apply_function", fail)
    with pytest.raises(
        DataError, match=r"expression 'x \+ _pad\(y, 3\)': in _pad\(y, 3\): "
    ) as found:
        value("x + _pad(y, 3)")
    assert ("--pool-size" in str(found.value)) == isinstance(error, MemoryError)


def test_neighbours_are_counted_before_all_distances_are_made():
    many = np.zeros((200_000, 3))
    with pytest.raises(DataError, match="values"):
        HELPERS["_knn"](many, many, 2)
    with pytest.raises(DataError, match="cannot pad to 1000000000 objects"):
        HELPERS["_knn"](many[:2], many[:2], 10**9)
