"""Shapes and their covariance, with numbers worked out by hand or by toys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.applications.density_ratio.shapes import (
    Shape,
    bin_numbers,
    closed_edges,
    compare,
    equal_content_edges,
    join_bins,
)


def test_independent_entries_have_the_covariance_of_a_multinomial():
    place = np.array([0] * 20 + [1] * 30 + [2] * 50)
    shape = Shape.of(place, 3, np.ones(100), np.arange(100))
    p = np.array([0.2, 0.3, 0.5])
    assert shape.shares == pytest.approx(p)
    assert shape.covariance == pytest.approx((np.diag(p) - np.outer(p, p)) / 100)
    assert shape.errors[0] == pytest.approx(np.sqrt(0.2 * 0.8 / 100))
    assert shape.entries.tolist() == [20, 30, 50]


def test_entries_of_a_row_that_go_together_count_as_one():
    place = np.repeat([0, 0, 1, 2], 3)
    together = Shape.of(place, 3, np.ones(12), np.repeat(np.arange(4), 3))
    alone = Shape.of(place[::3], 3, np.ones(4), np.arange(4))
    assert together.covariance == pytest.approx(alone.covariance)
    assert together.products == pytest.approx(9 * alone.products)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(-2, 3)), min_size=3))
def test_products_are_those_of_the_sums_of_each_row(entries):
    row, place, weight = (np.array(values) for values in zip(*sorted(entries), strict=True))
    shape = Shape.of(place, 3, weight, row)
    expected = np.zeros((3, 3))
    for number in range(4):
        held = np.bincount(place[row == number], weight[row == number], 3)
        expected += np.outer(held, held)
    assert shape.products == pytest.approx(expected)


def test_chi2_of_samples_of_one_shape_is_as_large_as_its_degrees_of_freedom():
    random = np.random.default_rng(3)
    found = []
    for _ in range(200):
        shapes = []
        for rows in (400, 900):
            # two entries a row in neighbouring bins, with weights of either sign
            first = random.integers(0, 5, rows)
            place = np.stack([first, (first + random.integers(0, 2, rows)) % 5], axis=1).ravel()
            weight = np.repeat(random.normal(1, 0.8, rows), 2)
            shapes.append(Shape.of(place, 5, weight, np.repeat(np.arange(rows), 2)))
        agreement = compare(*shapes, np.arange(5))
        assert agreement.ndf == 4
        found.append(agreement.chi2)
    # mean 4 +- sqrt(8 / 200)
    assert np.mean(found) == pytest.approx(4, abs=0.6)
    assert np.var(found) == pytest.approx(8, abs=3)


def test_bins_with_few_entries_are_joined():
    assert join_bins(np.array([50.0, 3, 60, 4, 5, 70])).tolist() == [1, 0, 2, 0, 0, 3]
    # the sample with fewer entries decides, and what is left over joins the last
    assert join_bins(np.array([9.0, 30, 30]), np.array([30.0, 8, 30])).tolist() == [0, 0, 1]
    assert join_bins(np.array([1.0, 2, 3])).tolist() == [0, 0, 0]


def test_samples_in_one_bin_leave_nothing_to_compare():
    shape = Shape.of(np.zeros(5, int), 2, np.ones(5), np.arange(5))
    agreement = compare(shape, shape, np.zeros(2, int))
    assert (agreement.ndf, agreement.per_ndf) == (0, None)


def test_edges_of_equal_content_and_of_a_few_whole_numbers():
    edges = equal_content_edges(np.arange(100.0), 4)
    assert np.bincount(bin_numbers(np.arange(100.0), edges)).tolist() == [25, 25, 25, 25]
    flavours = np.array([0.0, 0, 4, 5, 5])
    edges = equal_content_edges(flavours, 4)
    assert edges.tolist() == [2.0, 4.5]
    assert bin_numbers(flavours, edges).tolist() == [0, 0, 1, 2, 2]
    assert equal_content_edges(np.ones(5), 4).tolist() == []


def test_no_bin_is_empty_where_many_have_the_smallest_value():
    values = np.repeat([0.0, 1, 2, 3, 4, 5], [40, 12, 12, 12, 12, 12])
    edges = equal_content_edges(values, 5)
    # the fifths end at 0, between 0 and 1, at 2 and at 4; below 0 there is nothing
    assert edges.tolist() == pytest.approx([0.6, 2, 4])
    assert np.bincount(bin_numbers(values, edges)).tolist() == [40, 12, 24, 24]


def test_a_value_that_nearly_all_have_is_told_from_what_lies_above_it():
    # 95 of 100 have the smallest value, which all quarters of the values are
    values = np.append(np.zeros(95), [1.0, 2, 3, 4, 5])
    edges = equal_content_edges(values, 4)
    assert np.bincount(bin_numbers(values, edges)).tolist() == [95, 5]
    assert closed_edges(values, edges).tolist() == [0, 1, 5]


@pytest.mark.parametrize(
    ("values", "bins", "edges"),
    [
        (np.arange(5.0), 2, [0, 2, 4]),
        # whole numbers are in the middle of bins that are equally wide
        ([0.0, 1, 1, 2], 4, [-0.5, 0.5, 1.5, 2.5]),
        ([3.0, 3], 4, [2.5, 3.5]),
        # whatever lies between them
        ([0.0, 100, 200], 4, [-50, 50, 150, 250]),
        # the largest value has a bin of its own, which is not without a width
        ([0.0, 1, 2, 3, 3, 3, 3, 3], 3, [0, 2 + 1 / 3, 3, 3 + 2 / 3]),
    ],
)
def test_bins_of_a_figure_all_have_a_width(values, bins, edges):
    inner = equal_content_edges(np.array(values), bins)
    assert closed_edges(np.array(values), inner).tolist() == pytest.approx(edges)
