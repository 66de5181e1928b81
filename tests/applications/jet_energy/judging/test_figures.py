"""What figures of jet energies show."""

import numpy as np
import pytest

from tests.applications.jet_energy.judging.conftest import model_of, write_prediction
from weaver_tt.applications.jet_energy.judging import figures
from weaver_tt.applications.jet_energy.judging.content import metrics_content
from weaver_tt.applications.jet_energy.judging.evaluation import judge
from weaver_tt.applications.jet_energy.judging.figures import LEAST_JETS, Points
from weaver_tt.applications.jet_energy.judging.page import judgement_page
from weaver_tt.metrics.bootstrap_quantiles import SampledDistribution
from weaver_tt.output.about import AboutPrediction

OUTPUTS = ("output_y_q16", "output_y_q84")


@pytest.fixture
def judgement(tmp_path, jets):
    for name, shift in zip(OUTPUTS, (-0.05, 0.05), strict=True):
        jets[name] = jets["output_y"] + shift
    path = write_prediction(tmp_path / "net.root", jets)
    about = AboutPrediction(task="regression", outputs=OUTPUTS, targets=("y",))
    model = model_of(path, about=about, more=("y", *OUTPUTS), columns={"standard_pt": "jet_pt"})
    return judge([model])


def test_axes_and_captions_have_the_names_of_the_data_yaml(tmp_path, jets):
    for name in OUTPUTS:
        jets[name] = jets["output_y"]
    path = write_prediction(tmp_path / "net.root", jets)
    names = {"gen_pt": "generated $p_T$ [GeV]", "jet_pt": "raw $p_T$ [GeV]", "y": "correction"}
    about = AboutPrediction(task="regression", outputs=OUTPUTS, targets=("y",), names=names)
    judged = judge([model_of(path, about=about, more=("y", *OUTPUTS))])
    assert figures._true_pt(judged) == "generated $p_T$ [GeV]"
    labels = [panel.label for panel in figures._closure_panels(judged)]
    # rho has no name
    assert labels[0] == "raw $p_T$ [GeV]"
    assert labels[-1] == r"$\rho$ [GeV]"
    (coverage,) = figures._coverage_figures(judged)
    assert "quantiles of correction by net" in coverage[1]
    page = judgement_page(metrics_content(judged), figures.JudgementPictures())
    assert "Coverage of the quantiles of correction by net" in page


def test_points_of_few_jets_or_without_an_error_are_not_shown():
    values = np.array([[1.0, 1.1, 0.9]] * 3)
    values[1, 2] = np.nan
    jets = np.array([LEAST_JETS, 1000, LEAST_JETS - 1])
    shown, errors = Points(values, jets).shown
    assert shown[0] == 1
    assert np.isnan(shown[1:]).all()
    assert errors[0] == pytest.approx(np.sqrt(0.02))


def test_a_ratio_has_the_error_of_the_ratio():
    """Of what fluctuates together nothing is left."""
    values = np.array([[2.0, 2.2, 1.8]])
    ratio = Points(values, np.array([50.0])).over(Points(values / 2, np.array([40.0])))
    assert ratio.values.tolist() == [[2, 2, 2]]
    assert ratio.jets.tolist() == [40]


def test_medians_of_the_flavours_are_beside_each_other(judgement):
    figure = figures._medians_figure(judgement)
    assert [axes.get_title().split(",")[0] for axes in figure.axes] == ["central", "forward"]
    (axes, _) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["standard", "net"]
    standard, net = (container.lines[0] for container in axes.containers)
    assert len(net.get_xdata()) == 6
    expected = judgement.models[0].numbers("central", "g").median[0]
    assert net.get_ydata()[-1] == pytest.approx(expected)
    assert (net.get_xdata() > standard.get_xdata()).all()


def test_resolutions_are_divided_by_those_of_the_standard(judgement):
    figure = figures._pt_figure(judgement, "central", figures.RESOLUTION)
    # five groups of flavours, each with a ratio, and the legend
    assert len(figure.axes) == 11
    ratio = figure.axes[1].containers[0].lines[0].get_ydata()
    net = judgement.models[0].numbers("central", "all", (100.0, 150.0)).resolution[0]
    standard = judgement.standard.numbers("central", "all", (100.0, 150.0)).resolution[0]
    assert ratio[4] == pytest.approx(net / standard)


def test_the_axis_of_ratios_reaches_as_far_as_they_do():
    jets = np.full(2, 100.0)
    values = np.array([[0.5, 0.5, 0.5], [0.9, 0.9, 0.9]])
    # a tenth of the usual range is left beyond the lowest
    limits = figures._ratio_limits((0.7, 1.2), [Points(values, jets)])
    assert limits == pytest.approx((0.45, 1.2))
    assert figures._ratio_limits((0.7, 1.2), []) == (0.7, 1.2)
    wild = Points(np.full((1, 3), 50.0), jets[:1])
    assert figures._ratio_limits((0.7, 1.2), [wild]) == (0.7, figures.MOST_RATIO)


def test_rho_has_no_panel_where_all_jets_have_the_same(tmp_path, jets, judgement):
    assert len(figures._closure_panels(judgement)) == 5
    jets["rho"][:] = 1.0
    path = write_prediction(tmp_path / "flat.root", jets)
    assert len(figures._closure_panels(judge([model_of(path)]))) == 3


def test_coverage_has_each_quantile_and_each_interval(judgement):
    figure = figures._coverage_figure(judgement, judgement.models[0], "y")
    names = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert names == ["below 16 %", "below 84 %", "inside 68 %"]


def test_a_panel_without_points_says_why(judgement, monkeypatch):
    monkeypatch.setattr(figures, "LEAST_JETS", 10**9)
    figure = figures._pt_figure(judgement, "central", figures.MEDIAN)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no bin with 1000000000 jets"]
    figure = figures._differences_figure(judgement, "central")
    assert [text.get_text() for text in figure.axes[0].texts] == ["no bin with 1000000000 jets"]
    # an axis with a length
    low, high = figure.axes[0].get_ylim()
    assert low == -0.01
    assert high >= 0.01


def test_an_interval_without_jets_says_so(judgement, monkeypatch):
    nothing = SampledDistribution(np.empty(0), np.empty((0, 1)))
    monkeypatch.setattr(type(judgement.models[0]), "responses", lambda *interval: nothing)
    axes = figures._responses_figure(judgement, "central").axes[0]
    assert [text.get_text() for text in axes.texts] == ["no jets"]
