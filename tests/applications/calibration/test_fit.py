"""What is looked at in a fit."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.fit import error_inflation


def test_errors_are_inflated_by_what_the_other_parameters_may_take_over():
    # a correlation of 0.8, a parameter that is fixed, and one of its own
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = [[4, 1.6], [1.6, 1]]
    covariance[3, 3] = 25
    # 1 / sqrt(1 - 0.8^2)
    assert error_inflation(covariance) == pytest.approx([5 / 3, 5 / 3, 1, 1])


def test_parameters_whose_sum_alone_is_known_have_a_large_inflation():
    # the sum is known to 0.01, the difference to 10
    rotation = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    covariance = rotation @ np.diag([0.01**2, 10**2]) @ rotation
    # each has an error of 10 / sqrt(2), and 0.01 sqrt(2) where the other is known
    assert error_inflation(covariance) == pytest.approx([500, 500], rel=1e-4)
    assert error_inflation(np.ones((2, 2))).min() > 1e5
