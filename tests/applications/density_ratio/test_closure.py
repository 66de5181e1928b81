"""The closure of a known ratio: what closes, what does not, and what is counted."""

from dataclasses import replace

import numpy as np
import pytest

from weaver_tt.applications.density_ratio import two_sample
from weaver_tt.applications.density_ratio.closure import (
    RatioMap,
    cross_fitted_map,
    map_edges,
    measure_closure,
    select_samples,
)
from weaver_tt.applications.density_ratio.entries import Entries
from weaver_tt.applications.density_ratio.figures import (
    draw_closure,
    file_names,
    pair_figure,
    variable_figure,
)
from weaver_tt.applications.density_ratio.roles import (
    BEFORE,
    IS_DENOMINATOR,
    IS_NUMERATOR,
    RATIO,
    WEIGHT,
)
from weaver_tt.applications.density_ratio.table import closure_table
from weaver_tt.errors import DataError

VARIABLES = ("x", "y", "z")


@pytest.fixture(scope="module")
def entries():
    """Uniform (x, y, z); the numerator has density 1 + 0.6 (2 z - 1) + 0.3 (2 x - 1)."""
    random = np.random.default_rng(4)
    x, y, z = random.random((3, 30_000))
    density = 1 + 0.6 * (2 * z - 1) + 0.3 * (2 * x - 1)
    numerator = np.arange(30_000) % 2 == 0
    kept = ~numerator | (2 * random.random(30_000) < density)
    values = {RATIO: density, "x": x, "y": y, "z": z, IS_NUMERATOR: numerator.astype(float)}
    values = {name: column[kept] for name, column in values.items()}
    return Entries(values, np.arange(int(kept.sum())))


@pytest.fixture(scope="module")
def closure(entries):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_sample, "STEPS", 150)
        samples = select_samples(entries, VARIABLES, "here")
        ratios = cross_fitted_map(samples, map_edges(samples, ("x", "y"), (8, 4)))
        return measure_closure(samples, ratios)


def test_the_true_ratio_closes_in_all_variables_and_pairs(closure):
    for variable in closure.variables:
        network = variable.agreements["network"]
        assert network.ndf == 19
        # 1 +- sqrt(2 / 19)
        assert network.per_ndf < 1 + 4 * np.sqrt(2 / 19)
    assert list(closure.pairs) == [("x", "y"), ("x", "z"), ("y", "z")]
    for agreements in closure.pairs.values():
        assert agreements["network"].ndf == 35
        assert agreements["network"].per_ndf < 1 + 4 * np.sqrt(2 / 35)
    assert abs(closure.areas["network"].deviation) < 3
    assert closure.mean[0] == pytest.approx(1, abs=4 * closure.mean[1])


def test_a_map_in_x_and_y_does_not_close_in_z(closure):
    x, y, z = (variable.agreements for variable in closure.variables)
    assert x["map"].per_ndf < 2
    assert z["map"].per_ndf > 20
    assert x["before"].per_ndf > 5
    assert y["before"].per_ndf < 1 + 4 * np.sqrt(2 / 19)
    assert closure.areas["map"].deviation > 5


def test_sizes_and_weights_are_those_of_the_ratio(closure, entries):
    ratio = entries[RATIO][entries[IS_NUMERATOR] == 0]
    assert closure.counts["denominator"] == len(ratio) == closure.sizes["before"]
    assert closure.sizes["network"] == pytest.approx(ratio.sum() ** 2 / (ratio**2).sum())
    assert closure.largest["largest_over_mean"] == pytest.approx(ratio.max() / ratio.mean())
    top = np.sort(ratio)[-round(0.01 * len(ratio)) :]
    assert closure.largest["sum_of_largest_0.01"] == pytest.approx(top.sum() / ratio.sum())


def test_a_map_of_two_bins_by_hand():
    values = {
        RATIO: np.ones(8),
        "x": np.array([0.1, 0.2, 0.3, 0.9, 0.1, 0.8, 0.9, 0.7]),
        IS_NUMERATOR: np.array([1.0, 1, 1, 1, 0, 0, 0, 0]),
        WEIGHT: np.array([1.0, 1, 1, 1, 1, 1, 3, -1]),
    }
    samples = select_samples(Entries(values, np.arange(8)), ("x",), "here")
    made = RatioMap.of(samples, {"x": np.array([0.5])}, np.ones(8, bool))
    # 3/4 over 1/4, and 1/4 over 3/4
    assert made.values == pytest.approx([3, 1 / 3])
    assert made.of_entries(samples.entries)[3] == pytest.approx(1 / 3)


def test_halves_of_rows_hold_both_samples_whatever_their_order():
    numerator = np.arange(4000) % 2 == 0
    random = np.random.default_rng(3)
    values = {
        RATIO: np.ones(4000),
        "x": random.random(4000),
        IS_NUMERATOR: numerator.astype(float),
    }
    samples = select_samples(Entries(values, np.arange(4000)), ("x",), "here")
    ratios = cross_fitted_map(samples, {"x": np.array([0.5])})
    # one ratio for each bin and half, of 500 entries above and below
    assert len(np.unique(ratios)) == 4
    assert ratios == pytest.approx(np.ones(4000), abs=5 * np.sqrt(2 / 500))
    few = select_samples(Entries(values, np.arange(4000)).take(np.arange(4000) < 2), ("x",), "here")
    with pytest.raises(DataError, match="are too few for a binned ratio"):
        cross_fitted_map(few, {"x": np.array([0.5])})


def test_where_one_sample_has_nothing_is_counted():
    random = np.random.default_rng(1)
    x, y = random.random((2, 8000))
    numerator = np.arange(8000) % 2 == 0
    # the denominator has nothing above 0.75, the numerator nothing below 0.1
    chosen = np.where(numerator, x > 0.1, x < 0.75)
    values = {RATIO: np.ones(8000), "x": x, "y": y, IS_NUMERATOR: numerator.astype(float)}
    entries = Entries(values, np.arange(8000)).take(chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_sample, "STEPS", 2)
        samples = select_samples(entries, ("x", "y"), "here")
        support = measure_closure(samples, np.ones(len(samples.entries))).support
    # to the width of a bin
    assert support["numerator_without_denominator"] == pytest.approx(0.25 / 0.9, abs=0.06)
    assert support["denominator_without_numerator"] == pytest.approx(0.1 / 0.75, abs=0.06)


def test_entries_without_a_ratio_or_of_neither_sample_are_left_out():
    values = {
        RATIO: np.array([1.0, np.nan, 1, 1]),
        "x": np.array([1.0, 1, np.inf, 1]),
        IS_NUMERATOR: np.array([1.0, 1, 0, 0]),
        IS_DENOMINATOR: np.array([0.0, 0, 1, 1]),
    }
    entries = Entries(values, np.arange(4))
    assert len(select_samples(entries, ("x",), "here").entries) == 2
    with pytest.raises(DataError, match=r"here: 0 entries of the denominator .* add up to 0"):
        select_samples(entries.take(np.array([True, False, False, False])), ("x",), "here")
    weights = values | {WEIGHT: np.array([np.inf, np.nan, 1, 1])}
    # of the first and the last, which are left
    with pytest.raises(DataError, match="here: the weight is not finite in 1 of 2 "):
        select_samples(Entries(weights, np.arange(4)), ("x",), "here")
    both = Entries(values | {IS_DENOMINATOR: np.ones(4)}, np.arange(4))
    with pytest.raises(DataError, match="2 of 4 entries are of both samples"):
        select_samples(both, ("x",), "here")


def test_all_is_said_and_drawn(closure, tmp_path):
    table = closure_table(closure)
    assert "| x, z | 35 |" in table
    assert "two-sample test" in table
    names = {path.rsplit("/", 1)[-1] for path in draw_closure(closure, tmp_path)}
    assert names >= {"x.png", "y.png", "z.png", "pairs.png", "ratios.png"}
    summary = closure.summary()
    assert summary["variables"]["z"]["network"]["ndf"] == 19
    assert summary["pairs"]["x z"]["map"]["chi2_per_ndf"] > 5


def test_axes_say_the_unit_of_a_density_and_each_pair_is_drawn_once(closure):
    (x, *_) = closure.variables
    upper, lower = variable_figure(x, "$p_T$ [GeV]", ("data", "simulation")).axes
    titles = [text.get_text() for text in upper.get_legend().get_texts()]
    assert titles[0].startswith("simulation, not reweighted, ")
    assert titles[2].startswith("simulation, reweighted by the network, ")
    assert titles[3] == "data"
    assert lower.get_ylabel() == "over data"
    assert upper.get_ylabel() == "probability density [1 / GeV]"
    assert lower.get_xlabel() == "$p_T$ [GeV]"
    before = pair_figure(closure).axes[0]
    # x and y against y and z: x y, x z and y z
    drawn = before.images[0].get_array()
    assert np.isfinite(drawn.filled(np.nan)).tolist() == [[True, False], [True, True]]
    assert drawn[1, 0] == closure.pairs["x", "z"][BEFORE].per_ndf
    names = [
        [text.get_text() for text in axis.get_ticklabels()] for axis in (before.xaxis, before.yaxis)
    ]
    assert names == [["x", "y"], ["y", "z"]]


def test_the_legend_of_densities_lies_above_them(closure):
    (x, *_) = closure.variables
    upper, _ = variable_figure(x, "x").axes
    # uniform ones, of which no bin deviates by a fifth
    assert upper.get_ylim()[1] > 1.8
    assert upper.get_yscale() == "linear"


def test_the_axis_of_densities_is_logarithmic_where_nearly_all_have_one_value(closure):
    (x, *_) = closure.variables
    # most of the content in a bin of a thousandth of the others
    edges = np.concatenate([[0, 0.001], np.arange(1.0, 20)])
    upper, _ = variable_figure(replace(x, edges=edges), "x").axes
    assert upper.get_yscale() == "log"
    density = x.numerator.shares / np.diff(edges)
    low, high = upper.get_ylim()
    assert low < density.min() < density.max() < high


def test_the_figure_of_one_variable_never_replaces_that_of_another():
    assert file_names(["pt", "pt - gen_pt", "pt / gen_pt", "ratios", "-pairs"]) == {
        "pt": "pt",
        "pt - gen_pt": "pt_gen_pt",
        "pt / gen_pt": "pt_gen_pt_2",
        "ratios": "ratios_2",
        "-pairs": "pairs_2",
    }
