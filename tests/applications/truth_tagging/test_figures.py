"""Figures are drawn for any content, in both formats; numbers shown are those of the closure."""

import numpy as np
import pytest

from weaver_tt.applications.truth_tagging.closure import Closure
from weaver_tt.applications.truth_tagging.distributions import Distribution
from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap, FlavourMap
from weaver_tt.applications.truth_tagging.figures import (
    distribution_figure,
    draw_closure,
    residual_figure,
)
from weaver_tt.applications.truth_tagging.jets import JetTable
from weaver_tt.applications.truth_tagging.residuals import Residuals
from weaver_tt.errors import OutputError


@pytest.fixture
def closure():
    """Two-jet b events without truth.

    A map of 0.5 everywhere, a network of 0.4, half of the jets tagged.
    """
    flat = FlavourMap(
        np.array([20.0, 600.0]), np.array([-2.0, 2.0]), np.array([[0.5]]), np.array([[0.01]]), 100.0
    )
    edges = {
        name: {"leading": np.array([0.0, 1.0, 5.0]), "both": np.array([0.0, 5.0])}
        for name in ("delta_r", "mass")
    }
    closure = Closure(EfficiencyMap({"b": flat, "c": flat, "light": flat}), edges)
    jets = 400
    columns = {
        "pt": np.full(jets, 50.0),
        "eta": np.linspace(-1, 1, jets),
        "phi": np.zeros(jets),
        "flavour": np.full(jets, 5.0),
    }
    columns |= {"tag": np.tile([0.0, 1.0], jets // 2), "efficiency": np.full(jets, 0.4)}
    closure.add(JetTable(columns, np.full(jets // 2, 2), np.ones(jets // 2), jets // 2))
    return closure


def test_every_figure_is_written_as_png_and_pdf(closure, tmp_path):
    paths = draw_closure(closure, str(tmp_path / "figures"))
    stems = {
        "delta_r_leading",
        "delta_r_leading_by_flavour",
        "delta_r_both",
        "delta_r_both_by_flavour",
    }
    stems |= {stem.replace("delta_r", "mass") for stem in stems}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf")
    }
    assert len(paths) == 16


def test_a_panel_shows_direct_tagging_and_the_chi_square():
    distribution = Distribution(np.array([0.0, 1.0]))
    tags = np.array([1.0] * 30 + [0.0] * 70)
    distribution.fill(
        np.full(100, 0.5),
        np.zeros(100, int),
        np.ones(100),
        {"direct": tags, "network": np.full(100, 0.25)},
    )
    figure = distribution_figure(distribution, ["bb"], "x", "title", "network")
    upper, lower = figure.axes
    assert upper.get_legend().get_texts()[0].get_text() == r"network, $\chi^2$/ndf = 1.3/1 = 1.33"
    assert upper.containers[0].lines[0].get_ydata().tolist() == [30]
    assert lower.containers[0].lines[0].get_ydata() == pytest.approx([30 / 25])


def test_residuals_show_mean_and_rms():
    residuals = Residuals()
    residuals.fill(np.array([0.5, 0.5]), np.array([0.4, 0.5]), np.zeros(2, int), np.ones(2))
    figure = residual_figure({"network": residuals})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "network\nmean +0.1000, RMS 0.100"
    ]


def test_a_folder_that_cannot_be_made_is_an_output_error(closure, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        draw_closure(closure, str(tmp_path / "file"))
