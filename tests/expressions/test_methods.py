"""Methods of columns, and the spellings of awkward 0."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import evaluate, parse_expression
from weaver_tt.expressions.methods import pad_none

TABLE = {
    "x": ak.Array([[1.0, 3.0, 2.0], [], [5.0]]),
    "y": ak.Array([[10.0, 20.0, 30.0], [], [40.0]]),
    "n": ak.Array([2, 0, 1]),
    "k": ak.Array([[1, 3, 2], [], [5]]),
}


def value(source):
    return ak.to_list(evaluate(parse_expression(source, "test"), TABLE))


@pytest.mark.parametrize("module", ["awkward", "ak"])
def test_jagged_arrays_are_made_like_others(module):
    assert value(f"{module}.JaggedArray.ones_like(x)") == [[1, 1, 1], [], [1]]
    assert value(f"{module}.JaggedArray.zeros_like(x) + 2") == [[2, 2, 2], [], [2]]
    assert value(f"{module}.JaggedArray.fromcounts(x.counts, ak.flatten(y))") == ak.to_list(
        TABLE["y"]
    )
    assert value(f"{module}.JaggedArray.concatenate([x, y], axis=1)") == [
        [1, 3, 2, 10, 20, 30],
        [],
        [5, 40],
    ]


def test_reductions_act_on_each_row():
    assert value("x.sum()") == value("x.sum(1)") == value("x.sum(axis=1)") == [6, 0, 5]
    assert value("x.max()") == [3, -np.inf, 5]
    assert value("x.min()") == [1, np.inf, 5]
    assert value("x.prod()") == [6, 1, 5]
    assert value("(x > 2).any()") == [True, False, True]
    assert value("(x > 2).all()") == [False, True, True]
    assert value("x.counts") == [3, 0, 1]
    mean = value("x.mean()")
    assert (mean[0], mean[2]) == (2, 5)
    assert np.isnan(mean[1])
    assert value("x.std()")[0] == pytest.approx((2 / 3) ** 0.5)


def test_the_place_of_the_largest_indexes_another_column():
    assert value("y[x.argmax()]") == [[20], [], [40]]
    assert value("y[x.argmin()]") == [[10], [], [40]]
    assert value("np.stack([n, 1 - n], axis=1).argmax(1)") == [0, 1, 0]


def test_padding_and_types():
    assert value("x.pad(2, clip=True).fillna(0)") == [[1, 3], [0, 0], [5, 0]]
    assert value("x.pad(2).fillna(-1)") == [[1, 3, 2], [-1, -1], [5, -1]]
    assert (
        evaluate(
            parse_expression("x.astype('float32')", "test"), TABLE
        ).type.content.content.primitive
        == "float32"
    )
    assert evaluate(parse_expression("n.astype(np.float32)", "test"), TABLE).dtype == np.float32


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("n.sum()", "one value a row, and no objects"),
        ("x.pad(10000000)", "cannot pad to 10000000 objects"),
        ("x.pad(100001)", "cannot pad to 100001 objects; between 0 and 100000 can be"),
        ("x.pad(-1)", "cannot pad to -1 objects"),
        ("n.counts", "one value a row, and no objects"),
    ],
)
def test_what_has_no_value_says_why(source, message):
    with pytest.raises(DataError, match=message):
        value(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "awkward.JaggedArray.ones_lik(x)",
            "awkward.JaggedArray.ones_lik is not allowed; did you mean 'ones_like'",
        ),
        ("np.JaggedArray.ones_like(x)", "np.JaggedArray is not allowed"),
        ("awkward.JaggedArray", "awkward.JaggedArray is not allowed"),
        ("x.summ()", "method 'summ' is not allowed; did you mean 'sum'"),
        ("x.count", "attribute 'count' is not allowed; did you mean 'counts'"),
        ("x.sum(1, 2, 3)", "too many positional arguments"),
        ("x.fillna(0, highlevel=False)", "argument 'highlevel' is not allowed"),
        ("x.tofile('a')", "method 'tofile' is not allowed"),
        ("x.sum(0)", "which rows are read together is a matter of chance"),
        ("x.sum(axis=None)", "which rows are read together is a matter of chance"),
        ("x.argmax(0)", "which rows are read together is a matter of chance"),
    ],
)
def test_what_is_not_allowed_names_the_nearest(source, message):
    with pytest.raises(ConfigError, match=message):
        parse_expression(source, "test")


def test_missing_values_fill_up_the_axis_that_is_named():
    nested = ak.Array([[[1], [2, 3]], []])
    assert pad_none(nested, 2, axis=2).tolist() == [[[1, None], [2, 3]], []]
    assert pad_none(nested, 1).tolist() == [[[1], [2, 3]], [None]]
