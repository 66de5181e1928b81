"""Bins of decorrelated variables, and variables that say nothing."""

import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.statistics.decorrelation import DecorrelationAccumulator, equal_bins
from weaver_tt.errors import DataError


def config(**more):
    decorrelate = {"variable": "mass", "method": "disco", "strength": 1, "classes": ["qcd"], **more}
    values = {
        "inputs": {"jet": {"length": None, "vars": [["x", None]]}},
        "labels": {"type": "simple", "value": ["top", "qcd"]},
        "task": {"name": "classification", "decorrelate": decorrelate},
    }
    return from_mapping(values, "d.yaml")


def table(mass, qcd):
    qcd = np.array(qcd)
    return {"mass": np.array(mass, dtype=float), "qcd": qcd, "top": 1 - qcd}


def fitted(*tables, **more):
    accumulator = DecorrelationAccumulator(config(**more))
    for each in tables:
        accumulator.add(each, len(each["mass"]), "a.root")
    return accumulator.result()


def test_bins_hold_equal_numbers_of_background_rows():
    # 0 ... 9 are background, whose quartiles are 2.25, 4.5 and 6.75; signal does not count
    tables = [table(range(6), [1] * 6), table([6, 7, 8, 9, 500], [1, 1, 1, 1, 0])]
    assert fitted(*tables, edges=4).edges == {"mass": (0, 2.25, 4.5, 6.75, 9)}
    assert fitted(*tables, edges=[0, 3, 20]).edges == {"mass": (0, 3, 20)}


def test_rows_with_equal_values_share_a_bin():
    # quartiles of 50 zeros, 25 ones and 25 twos are 0, 0.5 and 1.25
    assert equal_bins(np.repeat([0.0, 1.0, 2.0], [50, 25, 25]), 4) == (0, 0.5, 1.25, 2)
    # those of 0, 0, 0, 1 are 0, 0 and 0.25
    assert equal_bins(np.array([0.0, 0, 0, 1]), 4) == (0, 0.25, 1)
    # a value on an edge belongs to the bin above: 0.5 to 1 has all ones
    assert equal_bins(np.array([0.0, 1, 1, 1, 1, 1, 1, 1]), 4) == (0, 1, 2)
    assert equal_bins(np.array([4.0, 4]), 4) == (4, 5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            table([5, 5, 7], [1, 1, 0]),
            "'mass' is 5 in all 2 training rows of qcd; there is",
        ),
        (table([5, 6], [0, 0]), r"decorrelate\.classes: no row of the training data is of 'qcd'"),
    ],
)
def test_what_says_nothing_is_refused(rows, message):
    with pytest.raises(DataError, match=message):
        fitted(rows)


def test_an_unknown_variable_is_refused_where_rows_are_decorrelated():
    signal = table([np.nan, 5, 6], [0, 1, 1])
    assert fitted(signal, edges=2).edges == {"mass": (5, 5.5, 6)}
    with pytest.raises(
        DataError,
        match=r"a\.root: task\.decorrelate\.variable: 'mass' is NaN or infinite in 1 of 2 selected "
        r"rows of qcd \(the first is row 2\)",
    ):
        fitted(table([1, 2, np.inf], [0, 1, 1]))
