"""Figures show each bin of the map, and both cuts in all bins of mass."""

import numpy as np

from tests.applications.decorrelation.toy import background
from weaver_tt.applications.decorrelation.figures import (
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
    axes, bar = map_figure(made, "score_top").axes
    drawn = np.concatenate([mesh.get_array().ravel() for mesh in axes.collections])
    assert drawn.tolist() == made.thresholds.tolist()
    assert axes.get_ylabel() == r"$p_T$ [GeV]"
    assert bar.get_ylabel() == "threshold on score_top"
    (axes,) = efficiency_figure(judged, "jet_sdmass").axes
    before, after = axes.containers
    assert before.lines[0].get_ydata().tolist() == judged.before.shares.tolist()
    assert after.lines[0].get_ydata().tolist() == judged.after.shares.tolist()
    assert axes.get_xlabel() == "jet_sdmass [GeV]"
    paths = draw_ddt("top_ddt_10p0", made, judged, ("score_top", "jet_sdmass"), tmp_path)
    names = [path.rsplit("/", 1)[1] for path in paths]
    assert names[0] == "top_ddt_10p0_map.png"
    assert names[2] == "top_ddt_10p0_efficiency.png"
