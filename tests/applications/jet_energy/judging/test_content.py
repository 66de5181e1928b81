"""Names and rules of what ``metrics.json`` says."""

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.judging.content import (
    central_intervals,
    interval_name,
    interval_title,
    is_closed,
    with_error,
)
from weaver_tt.applications.jet_energy.judging.reading import QuantileColumn


@pytest.mark.parametrize(
    ("median", "error", "closed"),
    [
        (1.009, 0.0001, True),
        (0.989, 0.0001, False),
        # 3 % off, within three errors
        (1.029, 0.01, True),
        (1.031, 0.01, False),
    ],
)
def test_a_cell_closes_within_a_per_cent_or_three_errors(median, error, closed):
    assert is_closed({"median": median, "median_error": error}) == closed


def test_an_interval_without_end_has_a_name():
    assert interval_name((100.0, 300.0)) == "100-300"
    assert interval_name((1000.0, np.inf)) == "1000-"
    assert interval_title((30.0, 50.0)) == "30 - 50 GeV"
    assert interval_title((1000.0, np.inf)) == "> 1000 GeV"


def test_a_number_has_its_error_beside_it():
    assert with_error("beta", np.array([0.1, 1, 2, 3])) == {"beta": 0.1, "beta_error": 1.0}


def test_central_intervals_leave_out_as_much_on_either_side():
    levels = (0.025, 0.16, 0.5, 0.84, 0.9, 0.975)
    columns = [QuantileColumn(column="", target="y", level=level) for level in levels]
    assert central_intervals(columns) == [(0, 5), (1, 3)]
