"""Sums by group, of groups without entries too."""

import numpy as np

from weaver_tt.samples.simulate.sums import sum_by_group


def test_values_are_added_in_their_group_and_other_groups_have_0() -> None:
    sums = sum_by_group(np.array([2, 0, 2]), np.array([1.5, -1, 2]), 4)
    assert sums.tolist() == [-1, 0, 3.5, 0]


def test_no_values_have_sums_of_numbers_all_the_same() -> None:
    sums = sum_by_group(np.zeros(0, int), np.zeros(0), 2)
    assert sums.dtype == np.float64
    assert sums.tolist() == [0, 0]
