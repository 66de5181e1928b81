"""The measurement of a kinematic bin: what it refuses, and what it finds where all is known."""

from dataclasses import replace

import numpy as np
import pytest

from weaver_tt.applications.calibration.measurement import BinInput, check_templates, measure
from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.templates import CategorySpectra, Distortions
from weaver_tt.errors import DataError

GRID = Grid(np.array([0.0, 40.0, 80.0, 120.0]))
CENTERS = (20.0, 60.0, 100.0)


def spectra_of(passing, failing):
    """Jets in the middles of the three bins."""
    found = Spectra(GRID, 1)
    for value, *numbers in zip(CENTERS, passing, failing, strict=True):
        place = np.searchsorted(GRID.fine_edges, value, side="right") - 1
        found.sums[0, :, place] = found.squares[0, :, place] = numbers
    return found


def bin_input(data=((90.0, 30.0, 60.0), (60.0, 70.0, 50.0)), rates=None):
    """200 jets of a signal with an efficiency of 0.6, 160 of a background with 0.375."""
    top = CategorySpectra(name="top", nominal=spectra_of((80, 10, 30), (40, 20, 20)))
    other = CategorySpectra(
        name="other", nominal=spectra_of((10, 20, 30), (20, 50, 30)), rates=rates or {}
    )
    return BinInput(
        number=0,
        label="all jets",
        name="all_jets",
        data=np.array(data),
        spectra=[top, other],
        distortions=Distortions(scale_error=0, resolution_error=0, resolution=0.1),
    )


def test_asimov_data_are_the_sum_of_the_templates_with_as_many_jets_as_the_data():
    # 360 jets of the data, 360 of the simulation
    found = bin_input().with_asimov_data().data
    np.testing.assert_allclose(found, [[90, 30, 60], [60, 70, 50]])
    twice = bin_input(np.full((2, 3), 120.0)).with_asimov_data().data
    np.testing.assert_allclose(twice, 2 * found)


def test_a_category_with_a_rate_keeps_its_jets():
    # 720 jets less 160 of the background leave 560 for 200 of the signal
    found = bin_input(np.full((2, 3), 120.0), rates={"norm": 1.2}).with_asimov_data().data
    np.testing.assert_allclose(found[0], [10 + 2.8 * 80, 20 + 2.8 * 10, 30 + 2.8 * 30])


def test_where_background_alone_has_more_jets_than_the_data_nothing_is_left():
    task = bin_input(np.full((2, 3), 10.0), rates={"norm": 1.2})
    with pytest.raises(DataError, match="categories with a rate have 160 jets, the data 60: nothi"):
        task.with_asimov_data()


def test_efficiencies_of_data_that_are_the_simulation_are_those_of_the_simulation():
    found = measure(bin_input())
    top, other = found.scale_factors.factors
    # 120 of 200 and 60 of 160 pass
    assert (top.data, top.mc) == (pytest.approx(0.6, abs=1e-3), 0.6)
    assert (other.data, other.mc) == (pytest.approx(0.375, abs=1e-3), 0.375)
    assert (top.value, other.value) == (pytest.approx(1, abs=2e-3), pytest.approx(1, abs=2e-3))
    # nothing moves that a second fit would follow
    assert (found.fits, found.factors, found.problems) == (1, {}, ())


def test_a_tag_that_is_better_in_data_has_its_scale_factor():
    task = bin_input()
    # 20 of the 80 jets of the signal that fail, pass: 0.7 over 0.6
    moved = np.array([40, 20, 20]) / 4
    better = replace(task, data=task.data + moved * np.array([[1.0], [-1.0]]))
    # their mass is that of jets that fail, so that the fit finds it about
    top, _ = measure(better).scale_factors.factors
    assert top.value == pytest.approx(0.7 / 0.6, abs=2 * top.total)
    assert top.value > 1.05


def test_data_without_a_jet_in_a_region_are_refused():
    with pytest.raises(DataError, match=r"no jet of the data .* is in the region 'pass'"):
        check_templates(bin_input(((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))))


def test_a_template_that_is_empty_or_negative_is_named_with_category_and_region():
    task = bin_input()
    empty = CategorySpectra(name="qcd", nominal=spectra_of((0, 0, 0), (1, 1, 1)))
    with pytest.raises(DataError, match="all jets: qcd, pass: the template is empty between 0 and"):
        check_templates(replace(task, spectra=[*task.spectra, empty]))
    negative = CategorySpectra(name="qcd", nominal=spectra_of((9, 9, 9), (1, -2, 9)))
    with pytest.raises(DataError, match="qcd, fail: the weights from 40 to 80 add up to -2"):
        check_templates(replace(task, spectra=[*task.spectra, negative]))
    check_templates(task)


def test_data_where_nothing_is_simulated_are_refused_with_the_place():
    task = bin_input()
    low = [CategorySpectra(name="top", nominal=spectra_of((80, 0, 30), (40, 20, 20)))]
    with pytest.raises(DataError, match=r"pass: 30 jets of the data from 40 to 80.*1 such bin"):
        check_templates(replace(task, spectra=low))
