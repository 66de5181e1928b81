"""Figures show each bin of the map, and both cuts in all bins of mass."""

import numpy as np

from tests.applications.decorrelation.toy import background
from weaver_tt.applications.decorrelation.figures import (
    DdtLabels,
    draw_ddt,
    efficiency_figure,
    map_figure,
)
from weaver_tt.applications.decorrelation.judgement import equal_mass_edges, judge_by_folds
from weaver_tt.applications.decorrelation.threshold_map import adaptive_bins, make_map


def test_a_map_and_what_passes_are_drawn(tmp_path):
    found = background(4000)
    made = make_map(found, 0.1, adaptive_bins(found, 0.1))
    judged = judge_by_folds(made, found, equal_mass_edges(found))
    roles = {"discriminant": "score_top+score_w", "mass": "jet_sdmass", "pt": "jet_pt"}
    labels = DdtLabels.of(roles, {"top": "top quark"})
    axes, bar = map_figure(made, labels).axes
    drawn = np.concatenate([mesh.get_array().ravel() for mesh in axes.collections])
    assert drawn.tolist() == made.thresholds.tolist()
    assert axes.get_ylabel() == r"$p_T$ [GeV]"
    assert bar.get_ylabel() == "threshold on score top quark+score w"
    (axes,) = efficiency_figure(judged, labels).axes
    before, after = axes.containers
    assert before.lines[0].get_ydata().tolist() == judged.before.shares.tolist()
    assert after.lines[0].get_ydata().tolist() == judged.after.shares.tolist()
    assert axes.get_xlabel() == "jet_sdmass [GeV]"
    paths = draw_ddt("top_ddt_10p0", made, judged, labels, tmp_path)
    names = [path.rsplit("/", 1)[1] for path in paths]
    assert names[0] == "top_ddt_10p0_map.png"
    assert names[2] == "top_ddt_10p0_efficiency.png"


def test_axes_have_the_names_of_the_data_yaml():
    roles = {"discriminant": "score_top / score_qcd", "mass": "sd", "pt": "jet_pt"}
    names = {"sd": "$m_{SD}$ [GeV]", "jet_pt": "jet $p_T$ [GeV]", "qcd": "QCD jet"}
    assert DdtLabels.of(roles, names) == DdtLabels(
        discriminant="score top / score QCD jet", mass="$m_{SD}$ [GeV]", pt="jet $p_T$ [GeV]"
    )


def test_a_sum_over_many_classes_does_not_stand_beside_the_map():
    many = "+".join(f"score_label_{number}" for number in range(14))
    roles = {"discriminant": many, "mass": "jet_sdmass", "pt": "jet_pt"}
    assert DdtLabels.of(roles, {}).discriminant == "the discriminant"
