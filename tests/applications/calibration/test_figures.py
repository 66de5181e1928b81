"""Figures show the data, the templates, the pulls and the factors of a fit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.applications.calibration.toy import draw_masses
from weaver_tt.applications.calibration.figures import (
    draw_calibration,
    mistag_figure,
    postfit_figure,
    pulls_figure,
    scale_factors_figure,
    toys_figure,
)
from weaver_tt.applications.calibration.measurement import BinInput, measure
from weaver_tt.applications.calibration.scale_factors import ScaleFactor
from weaver_tt.applications.calibration.spectra import Grid, Spectra
from weaver_tt.applications.calibration.templates import CategorySpectra, Distortions
from weaver_tt.applications.calibration.toys import Toys

GRID = Grid(np.arange(40.0, 241.0, 40.0))


@pytest.fixture(scope="module")
def measurement():
    rng = np.random.default_rng(1)
    spectra = []
    for name in ("top", "other"):
        filled = Spectra(GRID, 1)
        masses = draw_masses(name, 2000, rng)
        filled.sums[0] = filled.squares[0] = np.histogram(masses, GRID.fine_edges)[0]
        spectra.append(CategorySpectra(name=name, nominal=filled))
    task = BinInput(
        number=0,
        label="all jets",
        name="all_jets",
        data=np.full((2, 5), np.nan),
        spectra=spectra,
        distortions=Distortions(scale_error=0.01, resolution_error=0, resolution=0.1),
    )
    sums = [one.nominal.template(0, GRID.response(1.0, 0.0)) for one in spectra]
    return measure(BinInput(**{**vars(task), "data": sum(sums)}))


def test_templates_stand_on_each_other_below_the_data(measurement):
    figure = postfit_figure(measurement, 0, GRID.edges, "jet_sdmass")
    axes, ratio = figure.axes
    points = axes.containers[0].lines[0]
    assert points.get_ydata().tolist() == measurement.data[0].tolist()
    # the highest stairs end at the sum of all templates
    top = max(axes.patches, key=lambda patch: patch.get_data().values.max())
    assert top.get_data().values == pytest.approx(measurement.fit.yields[:, 0].sum(0))
    assert ratio.containers[0].lines[0].get_ydata() == pytest.approx(np.ones(5), abs=0.01)
    assert ratio.get_xlabel() == "jet_sdmass"
    assert axes.get_ylabel() == "jets / 40"
    figure = postfit_figure(measurement, 0, GRID.edges, "mass [GeV]")
    assert figure.axes[0].get_ylabel() == "jets / 40 GeV"


def test_pulls_and_factors_are_drawn_with_their_errors(measurement):
    named, statistical = pulls_figure(measurement).axes
    assert [text.get_text() for text in named.get_yticklabels()] == ["scale"]
    assert len(statistical.containers[0].lines[0].get_ydata()) == 10
    (axes,) = scale_factors_figure([measurement]).axes
    values = [container.lines[0] for container in axes.containers]
    drawn = [line.get_ydata()[0] for line in values if line is not None]
    assert drawn == [one.value for one in measurement.scale_factors.factors]


def test_without_nuisance_parameters_by_name_statistical_ones_are_drawn(measurement):
    fit = measurement.fit
    is_named = [name == "scale" for name in fit.names]
    bare = replace(measurement, fit=replace(fit, is_fixed=fit.is_fixed | is_named))
    named, statistical = pulls_figure(bare).axes
    assert named.get_yticklabels() == []
    assert len(statistical.containers[0].lines[0].get_ydata()) == 10


def test_all_figures_are_written(measurement, tmp_path):
    rng = np.random.default_rng(1)
    toys = Toys({"SF top": rng.normal(size=30), "scale": rng.normal(size=30)}, 30, {}, 12)
    pictures = draw_calibration([measurement], GRID.edges, "jet_sdmass", [toys], tmp_path)
    assert [picture.path.name for picture in pictures] == [
        "scale_factors.png",
        "postfit_pass_all_jets.png",
        "postfit_fail_all_jets.png",
        "pulls_all_jets.png",
        "toys_all_jets.png",
    ]
    assert all(picture.path.exists() for picture in pictures)
    heights = sum(patch.get_height() for patch in toys_figure(toys).axes[0].patches)
    assert heights == 30


def test_a_mistag_rate_stands_beside_the_simulated_one():
    numbers = {
        "data": 0.06,
        "data_error": 0.005,
        "mc": 0.05,
        "mc_error": 0.001,
        "value": 1.2,
        "statistical": 0.1,
        "simulation": 0.02,
        "systematic": 0.03,
    }
    factor = ScaleFactor(category="qcd", **numbers)
    axes, ratio = mistag_figure([factor, factor], ["low", "high"]).axes
    assert axes.containers[0].lines[0].get_ydata() == pytest.approx([0.06, 0.06])
    assert axes.containers[1].lines[0].get_ydata() == pytest.approx([0.05, 0.05])
    assert ratio.containers[0].lines[0].get_ydata() == pytest.approx([1.2, 1.2])
