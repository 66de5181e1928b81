"""Spectra of inputs are sums in bins: each entry counts once, with its weight, in its class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.config.schema import InputGroup, Variable
from weaver_tt.data.statistics.input_sums import (
    BINS,
    FEWEST,
    InputSpectra,
    VariableSums,
    choose_edges,
    count_bins,
)


def test_entries_below_in_and_above_the_bins_are_counted():
    spectra = InputSpectra(np.array([0.0, 1.0, 2.0]), 2)
    values = np.array([-1.0, 0.0, 0.9, 1.0, 2.0, 2.1])
    classes = np.array([0, 0, 0, 1, 1, 1])
    spectra.add(values, classes, np.array([1.0, 2.0, 3.0, -1.0, 2.0, 5.0]))
    # the last edge belongs to the last bin
    np.testing.assert_array_equal(spectra.sums, [[1, 5, 0, 0], [0, 0, 1, 5]])
    np.testing.assert_array_equal(spectra.squares, [[1, 13, 0, 0], [0, 0, 5, 25]])


@given(
    values=st.lists(st.floats(-10, 10), max_size=30),
    cut=st.integers(0, 30),
)
def test_nothing_is_lost_however_rows_come_in_parts(values, cut):
    values = np.array(values, dtype=np.float64)
    classes = np.arange(len(values)) % 3
    weights = np.linspace(0.5, 2, len(values))
    edges = np.linspace(-5, 5, 7)
    whole, parts = InputSpectra(edges, 3), InputSpectra(edges, 3)
    whole.add(values, classes, weights)
    for part in (slice(None, cut), slice(cut, None)):
        parts.add(values[part], classes[part], weights[part])
    np.testing.assert_allclose(parts.sums, whole.sums, atol=1e-12)
    expected = [weights[classes == number].sum() for number in range(3)]
    np.testing.assert_allclose(whole.sums.sum(1), expected, atol=1e-12)


def test_what_is_not_finite_or_clipped_is_counted_in_its_class():
    variable = Variable(name="x", center=1.0, scale=2.0, low=-5.0, high=5.0)
    sums = VariableSums(InputGroup(name="g", variables=(variable,)), variable, np.arange(5.0), 2)
    # scaled: -2, 4, 6 (clipped) and NaN; in the other class -8 (clipped)
    values = np.array([0.0, 3.0, 4.0, np.nan, -3.0])
    classes = np.array([0, 0, 0, 0, 1])
    sums.add_raw(values, classes, np.array([1.0, 1.0, 2.0, 9.0, 1.0]))
    assert sums.entries.tolist() == [4, 1]
    assert sums.nonfinite.tolist() == [1, 0]
    assert sums.clipped.tolist() == [1, 1]
    # with weights 1, 1 and 2: (0 + 3 + 8) / 4
    assert sums.first[0] / sums.total[0] == 11 / 4
    assert sums.second[0] == 9 + 2 * 16
    assert (sums.low[0], sums.high[0]) == (0, 4)


def test_whole_numbers_have_a_bin_each():
    edges = choose_edges(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(edges, [-1.5, -0.5, 0.5, 1.5, 2.5])


def test_few_far_values_do_not_stretch_the_bins():
    values = np.concatenate([np.linspace(0, 1, 2000), [1e6]])
    edges = choose_edges(values)
    # as many bins as the square root of 2001
    assert len(edges) == 44 + 1
    assert edges[-1] < 1.1


def test_bins_are_neither_too_few_nor_too_many():
    assert [count_bins(values) for values in (0, 99, 400, 10**9)] == [FEWEST, FEWEST, 20, BINS]


def test_what_spans_orders_of_magnitude_has_bins_of_equal_ratios():
    edges = choose_edges(np.geomspace(1.0, 1e4, 5000))
    ratios = edges[1:] / edges[:-1]
    assert ratios.max() == pytest.approx(ratios.min())


@pytest.mark.parametrize("values", [[], [np.nan], [0.3], [7.5, 7.5], [np.inf, 0.1]])
def test_edges_increase_whatever_the_values(values):
    assert (np.diff(choose_edges(np.array(values))) > 0).all()
