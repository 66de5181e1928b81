"""Figures show the points, the fits and the cells that there are."""

import numpy as np
import pytest

from tests.applications.jet_energy.toy import toy_jets, write_jets
from weaver_tt.applications.jet_energy import closure as closure_module
from weaver_tt.applications.jet_energy.closure import measure_closure
from weaver_tt.applications.jet_energy.derive import DeriveSettings, derive_correction
from weaver_tt.applications.jet_energy.figures import (
    closure_figure,
    draw_correction,
    factor_figure,
    response_figure,
)
from weaver_tt.applications.jet_energy.jets import JetFiles

SOURCES = {"pt": "jet_pt", "eta": "jet_eta", "gen_pt": "gen_pt"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = write_jets(tmp_path_factory.mktemp("jets") / "jets.parquet", toy_jets(4000))
    derived = derive_correction(JetFiles(paths=[path], sources=SOURCES), DeriveSettings())
    files = JetFiles(paths=[path], sources=SOURCES | {"reco_pt": "jet_pt"})
    return derived, measure_closure(derived.correction, files, "median")


def test_the_response_has_a_curve_and_points_for_each_bin(results):
    derived, _ = results
    figure = response_figure(derived, "median")
    assert len(figure.axes) == 2
    entries = [text.get_text() for axes in figure.axes for text in axes.get_legend().texts]
    assert len(entries) == len(derived.fits) == 9
    assert entries[0] == r"0 < |$\eta$| < 0.4"
    drawn = figure.axes[0].containers[0].lines[0].get_xydata()
    assert np.array_equal(drawn[:, 1], derived.fits[0].points.response)


def test_factors_are_drawn_in_their_range_alone(results):
    derived, _ = results
    line = factor_figure(derived).axes[0].lines[0]
    curve = derived.correction.curves.curves[0]
    assert line.get_xdata()[[0, -1]] == pytest.approx([curve.low, curve.high])


def test_cells_with_few_jets_are_not_drawn(results, monkeypatch):
    _, closure = results
    monkeypatch.setattr(closure_module, "FEWEST_JETS", 50)
    figure = closure_figure(closure)
    for axes, name in zip(figure.axes, ("reco_pt", "gen_pt"), strict=True):
        drawn = sum(len(item.lines[0].get_xdata()) for item in axes.containers)
        assert 0 < drawn == sum(cell.has_jets() for cell in closure.cells(name))
        assert not axes.texts


def test_panels_of_few_jets_say_why_they_are_empty(results):
    _, closure = results
    for axes in closure_figure(closure).axes:
        (why,) = axes.texts
        assert why.get_text() == "no cell with more than 500 jets"


def test_all_figures_are_files(results, tmp_path):
    names = {path.rsplit("/")[-1] for path in draw_correction(*results, tmp_path)}
    kinds = ("png", "pdf")
    expected = {f"{name}.{kind}" for name in ("response", "factor", "closure") for kind in kinds}
    assert names == expected
    assert all((tmp_path / name).stat().st_size for name in names)
