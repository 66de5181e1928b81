"""Templates around a point of scale and resolution, by hand."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.templates import (
    CategorySpectra,
    Distortions,
    Template,
    make_template,
)

# fine bins are 2.5 wide
GRID = Grid(np.array([100.0, 200.0, 300.0]))
NONE = Distortions(scale_error=0, resolution_error=0, resolution=0.1)


def spectra_at(value, passing, failing):
    """Jets in the fine bin that holds ``value``, with weight 1."""
    found = Spectra(GRID, 1)
    place = np.searchsorted(GRID.fine_edges, value, side="right") - 1
    found.sums[0, :, place] = found.squares[0, :, place] = passing, failing
    return found


def test_a_parameter_that_is_turned_off_is_none():
    distortions = Distortions(scale_error=0.01, resolution_error=0, resolution=0.1)
    assert distortions.names == ("scale",)
    assert NONE.names == ()


def test_factors_are_one_and_errors_times_parameters():
    distortions = Distortions(scale_error=0.01, resolution_error=0.1, resolution=0.1)
    found = distortions.factors({"scale": 2.0, "resolution": -1.0})
    assert found == {"scale": pytest.approx(1.02), "resolution": pytest.approx(0.9)}
    assert distortions.factors({}) == {"scale": 1.0, "resolution": 1.0}


def test_a_template_is_linear_in_the_scale_with_the_slope_of_a_tenth_of_it():
    spectra = CategorySpectra(name="top", nominal=spectra_at(198, 80, 40))
    distortions = Distortions(scale_error=0.01, resolution_error=0, resolution=0.1)
    template = make_template(spectra, 0, distortions, {"scale": 0.0})
    np.testing.assert_allclose(template.contents, [[80, 0], [40, 0]])
    # at a scale of 1.001 the jets lie evenly between 197.6975 and 200.2; at 0.999 all below 200
    moved = 80 * 0.2 / (1.001 * 2.5) / 0.2
    up, down = template.shifts["scale"]
    np.testing.assert_allclose(up[0], [80 - moved, moved])
    # where the line falls below 0 there is nothing
    np.testing.assert_allclose(down[0], [80 + moved, 0])
    np.testing.assert_allclose(up[1], up[0] / 2)


def test_variations_of_a_free_category_differ_in_shape_alone():
    nominal = spectra_at(150, 80, 40)
    nominal.sums += spectra_at(250, 20, 60).sums
    varied = (spectra_at(150, 30, 10), spectra_at(250, 7, 9))
    free = CategorySpectra(name="top", nominal=nominal, varied={"pileup": varied})
    up, down = make_template(free, 0, NONE, {}).shifts["pileup"]
    # 100 jets in both regions
    np.testing.assert_allclose(up, [[100, 0], [100, 0]])
    np.testing.assert_allclose(down, [[0, 100], [0, 100]])
    rated = CategorySpectra(
        name="qcd", nominal=nominal, varied={"pileup": varied}, rates={"norm_qcd": 1.2}
    )
    up, down = make_template(rated, 0, NONE, {}).shifts["pileup"]
    np.testing.assert_allclose(up, [[30, 0], [10, 0]])
    np.testing.assert_allclose(down, [[0, 7], [0, 9]])
    assert (free.is_free, rated.is_free) == (True, False)


def test_factors_of_the_regions_scale_contents_once_and_variances_twice():
    contents = np.array([[10.0, 20.0], [30.0, 40.0]])
    template = Template(
        name="top",
        contents=contents,
        variances=contents,
        shifts={"scale": (contents + 1, contents - 1)},
        rates={},
    )
    found = template.scaled(np.array([2.0, 0.5]))
    np.testing.assert_allclose(found.contents, [[20, 40], [15, 20]])
    np.testing.assert_allclose(found.variances, [[40, 80], [7.5, 10]])
    up, down = found.shifts["scale"]
    np.testing.assert_allclose(up, [[22, 42], [15.5, 20.5]])
    np.testing.assert_allclose(down, [[18, 38], [14.5, 19.5]])
