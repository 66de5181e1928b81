"""Mistag rates by hand."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.mistag import ControlRegion, RegionSums
from weaver_tt.errors import DataError


def sums(passing, failing, weight=1.0):
    contents = np.array([[passing, failing]], float)
    return RegionSums(contents, weight * contents, int(passing + failing), 0)


def test_what_is_left_of_the_data_is_counted():
    region = ControlRegion(
        measured="qcd",
        data=sums(150, 950),
        simulated=sums(400, 9600),
        others={"top": sums(100, 50)},
    )
    found = region.mistag_rate(0, "all jets")
    # 50 of 50 + 900, against 4 %
    assert found.data == pytest.approx(50 / 950)
    assert found.value == pytest.approx(50 / 950 / 0.04)
    # sqrt(900^2 * 150 + 50^2 * 950) / 950^2 / 0.04
    assert found.statistical == pytest.approx(np.sqrt(900**2 * 150 + 50**2 * 950) / 950**2 / 0.04)
    subtracted = np.sqrt(900**2 * 100 + 50**2 * 50) / 950**2 / 0.04
    of_category = found.value * np.sqrt(0.04 * 0.96 / 10_000) / 0.04
    assert found.simulation == pytest.approx(np.hypot(subtracted, of_category))
    assert found.systematic == 0


def test_a_rate_moves_what_is_left():
    region = ControlRegion(
        measured="qcd",
        data=sums(150, 950),
        simulated=sums(400, 9600),
        others={"top": sums(100, 50)},
        rates={"top_rate": {"top": 1.25}},
    )
    up = (150 - 125) / (1100 - 187.5)
    down = (150 - 80) / (1100 - 120)
    assert region.mistag_rate(0, "").systematic == pytest.approx((down - up) / 2 / 0.04)


def test_nothing_left_is_an_error():
    region = ControlRegion(
        measured="qcd", data=sums(90, 950), simulated=sums(4, 96), others={"top": sums(100, 50)}
    )
    with pytest.raises(DataError, match=r"all jets, pass: 90 jets .* -10 are left"):
        region.mistag_rate(0, "all jets")


def test_pulls_of_a_counting_experiment_have_width_1():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(400):
        data = rng.poisson([60 + 40, 900 + 100])
        top = rng.poisson([400, 1000]) / 10.0
        simulated = rng.poisson([600, 9000]) / 1.0
        region = ControlRegion(
            measured="qcd",
            data=sums(*data),
            simulated=sums(*simulated),
            others={"top": sums(*top, weight=0.1)},
        )
        found = region.mistag_rate(0, "")
        pulls.append((found.value - 1) / found.total)
    # errors of mean and width: 0.05 and 0.035
    assert abs(np.mean(pulls)) < 0.2
    assert np.std(pulls) == pytest.approx(1, abs=0.14)
