"""Toys say whether errors are right."""

import numpy as np
import pytest

from tests.applications.calibration.toy import EFFICIENCY, draw_masses
from weaver_tt.applications.calibration.fit import Model
from weaver_tt.applications.calibration.measurement import BinInput, measure
from weaver_tt.applications.calibration.results import toys_content
from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.templates import CategorySpectra, Distortions
from weaver_tt.applications.calibration.toys import run_toys, summarise_pulls

GRID = Grid(np.arange(40.0, 241.0, 40.0))


@pytest.fixture(scope="module")
def measurement():
    rng = np.random.default_rng(1)
    spectra = []
    data = np.zeros((2, len(GRID.edges) - 1))
    for name, number in (("top", 1500), ("other", 2000)):
        filled = Spectra(GRID, 1)
        for place, share in enumerate((EFFICIENCY[name], 1 - EFFICIENCY[name])):
            masses = draw_masses(name, int(2 * number * share), rng)
            filled.sums[0, place] = filled.squares[0, place] = np.histogram(
                masses, GRID.fine_edges
            )[0]
        data += np.histogram(draw_masses(name, number, rng), GRID.edges)[0] * [
            [EFFICIENCY[name]],
            [1 - EFFICIENCY[name]],
        ]
        spectra.append(CategorySpectra(name=name, nominal=filled))
    task = BinInput(
        number=0,
        label="all jets",
        name="all_jets",
        data=np.round(data),
        spectra=spectra,
        distortions=Distortions(scale_error=0.01, resolution_error=0, resolution=0.1),
    )
    return measure(task)


def test_pulls_have_mean_0_and_width_1(measurement):
    toys = run_toys(measurement, 40, seed=1)
    assert sum(toys.bad.values()) == 0
    assert list(toys.pulls) == ["SF top", "SF other", "scale"]
    for pulls in toys.pulls.values():
        found = summarise_pulls(pulls)
        # errors of 0.16 and 0.11
        assert abs(found.mean) < 0.55
        assert found.width == pytest.approx(1, abs=0.4)
    assert 0 < toys.worse < 40


def test_one_toy_has_no_pulls_as_these_would_have_no_width(measurement):
    toys = run_toys(measurement, 1, seed=1)
    assert (toys.number, toys.pulls, dict(toys.bad)) == (1, {}, {})
    assert toys_content(toys)["pulls"] == {}


def test_the_simulation_fluctuates_in_toys(measurement):
    drawn = measurement.model.draw(measurement.fit.values, 300, seed=2)
    auxiliary = drawn[:, len(measurement.model.contents) :]
    sigmas = measurement.fit.constraints[np.isfinite(measurement.fit.constraints[:, 1])][:, 1]
    # errors of standard deviations are 4 %
    assert np.std(auxiliary, axis=0) == pytest.approx(sigmas, rel=0.2)


def test_drawing_leaves_the_global_generator_alone(measurement):
    np.random.seed(5)
    first = np.random.random()
    np.random.seed(5)
    measurement.model.draw(measurement.fit.values, 2, seed=3)
    assert np.random.random() == first


def test_the_same_seed_draws_the_same(measurement):
    values = measurement.fit.values
    one, again, other = (measurement.model.draw(values, 2, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_summary_of_pulls_by_hand():
    found = summarise_pulls(np.array([-1.0, 0.0, 1.0, 2.0]))
    assert found.mean == pytest.approx(0.5)
    assert found.width == pytest.approx(np.sqrt(5 / 3))
    assert found.mean_error == pytest.approx(np.sqrt(5 / 3) / 2)
    assert found.width_error == pytest.approx(np.sqrt(5 / 3) / np.sqrt(6))


def test_one_category_in_one_model_is_counted(measurement):
    # without other categories the efficiency in data is that of the counts
    assert isinstance(measurement.model, Model)
    found = measurement.scale_factors.factors[0]
    assert found.value == pytest.approx(1, abs=4 * found.total)
