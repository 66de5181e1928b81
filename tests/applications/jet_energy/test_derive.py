"""The response that jets were made with is found and taken back."""

import numpy as np
import pytest

from tests.applications.jet_energy.toy import toy_jets, true_response, write_jets
from weaver_tt.applications.jet_energy.derive import DeriveSettings, derive_correction
from weaver_tt.applications.jet_energy.jets import JetFiles
from weaver_tt.errors import ConfigError, DataError

SOURCES = {
    "pt": "jet_pt",
    "eta": "jet_eta",
    "gen_pt": "gen_pt",
    "area": "jet_area",
    "rho": "rho",
    "pileup": "pileup",
}


@pytest.fixture
def derive(tmp_path):
    def run(columns, sources=SOURCES, **settings):
        path = write_jets(tmp_path / "jets.parquet", columns)
        files = JetFiles(paths=[path], sources=sources)
        return derive_correction(files, DeriveSettings(**settings))

    return run


def without(*roles):
    return {role: source for role, source in SOURCES.items() if role not in roles}


def residual(derived, pileup=0.0):
    """Corrected over true pT of jets without resolution."""
    jets = toy_jets(2000, seed=9, pileup=pileup, width=0)
    inside = (jets["gen_pt"] > 25) & (jets["gen_pt"] < 1600)
    jets = {name: values[inside] for name, values in jets.items()}
    return derived.correction.corrected(jets) / jets["gen_pt"]


@pytest.mark.parametrize("center", ["median", "mean", "gaussian"])
def test_the_response_is_taken_back_within_its_errors(derive, center):
    derived = derive(toy_jets(seed=5), center=center)
    assert derived.correction.needed_columns == ("jet_pt", "jet_eta")
    # 600 jets of 8 % in a bin of |eta|, degree 4: 1 %
    difference = residual(derived) - 1
    assert np.abs(np.mean(difference)) < 0.003
    assert np.std(difference) < 0.012
    chi2 = sum(fit.chi2 for fit in derived.fits)
    ndf = sum(fit.ndf for fit in derived.fits)
    assert chi2 / ndf == pytest.approx(1, abs=0.35)


def test_as_many_parameters_as_a_standard_correction_has(derive):
    """Ten bins up to |eta| = 2.5, twelve segments with four numbers each."""
    assert derive(toy_jets()).correction.parameters == 10 * 12 * 4


def test_with_pile_up_rho_times_area_is_subtracted_first(derive):
    derived = derive(toy_jets(pileup=20.0))
    assert derived.correction.needed_columns == ("jet_pt", "jet_eta", "jet_area", "rho")
    assert np.abs(np.mean(residual(derived, pileup=20.0) - 1)) < 0.005


def test_without_the_offset_the_response_takes_its_mean(derive):
    derived = derive(toy_jets(pileup=20.0), offset="none")
    assert not derived.correction.has_offset
    # 8 GeV of 20 are left: the response is above 1 there
    assert derived.fits[0].points.response[0] > 1.1


def test_a_few_events_with_a_density_are_no_pile_up(derive):
    jets = toy_jets(1500)
    jets["rho"] = np.where(np.arange(1500) % 3 == 0, 0.5, 0.0)
    assert not derive(jets).correction.has_offset
    assert derive(jets, offset="area").correction.has_offset


def test_pile_up_without_rho_is_refused(derive):
    with pytest.raises(
        DataError, match=r"'pileup' says .* 20 further collisions, but rho and area"
    ):
        derive(toy_jets(1500, pileup=20.0), sources=without("rho", "area"))


def test_jets_that_are_measured_exactly_are_not_changed(derive):
    jets = toy_jets(1500)
    derived = derive(jets | {"jet_pt": jets["gen_pt"]})
    factor = derived.correction.curves.factor(jets["gen_pt"], jets["jet_eta"])
    assert factor == pytest.approx(np.ones(1500), abs=1e-9)


def test_weights_count(derive):
    """Jets of weight 0 measure half of their pT and change nothing."""
    jets = toy_jets(4000)
    half = np.arange(4000) % 4 == 0
    jets["jet_pt"] = np.where(half, 0.5, 1) * jets["jet_pt"]
    jets["w"] = np.where(half, 0.0, 2.0)
    derived = derive(jets, sources=SOURCES | {"weight": "w"}, center="mean")
    assert np.abs(np.mean(residual(derived) - 1)) < 0.004


@pytest.mark.parametrize(("weight", "shown"), [(0.0, "0 to 0.8"), (-1.0, "0 to 0.8")])
def test_weights_that_sum_to_nothing_are_refused(derive, weight, shown):
    jets = toy_jets(2000)
    jets["w"] = np.where(jets["gen_pt"] > 1000, weight, 1.0)
    with pytest.raises(DataError, match=rf"from {shown}: .* weights of its jets do not sum"):
        derive(
            jets,
            sources=SOURCES | {"weight": "w"},
            eta_edges=[0, 0.8, 2.5],
            pt_edges=[20, 100, 1000, 2000],
        )


def test_pieces_of_a_file_give_the_same_as_the_whole(derive, monkeypatch):
    whole = derive(toy_jets(3000))
    monkeypatch.setattr("weaver_tt.formats.row_ranges.row_ranges.__defaults__", (700,))
    pieces = derive(toy_jets(3000))
    for one, other in zip(
        whole.correction.curves.curves, pieces.correction.curves.curves, strict=True
    ):
        assert one.coefficients == pytest.approx(other.coefficients, rel=1e-9, abs=1e-12)


def test_the_correction_ends_where_the_data_end(derive):
    derived = derive(toy_jets(1500, most_eta=1.2), eta_edges=[0, 0.6, 1.3])
    jets = {"jet_pt": np.array([100.0]), "jet_eta": np.array([1.29])}
    derived.correction.factor(jets)
    for pt, eta in ((100, 1.31), (10, 0), (2500, 0)):
        with pytest.raises(DataError, match="beyond the range of the data"):
            derived.correction.factor(jets | {"jet_pt": np.array([pt]), "jet_eta": np.array([eta])})
    wide = derive(toy_jets(1500, most_eta=1.2), eta_edges=[0, 0.6, 1.3], extrapolates=True)
    wide.correction.factor(jets | {"jet_eta": np.array([1.31])})


def test_bins_that_were_not_asked_for_end_at_the_edge_beyond_the_last_jet(derive):
    derived = derive(toy_jets(1500, most_eta=1.2))
    assert derived.correction.curves.eta_edges[-1] == 1.3


def test_bins_with_few_jets_are_merged(derive):
    """700 jets up to |eta| = 2.5: two bins of 300 or more."""
    edges = derive(toy_jets(700)).correction.curves.eta_edges
    assert edges.tolist() == [0, 1.3, 2.5]


def test_jets_beyond_the_edges_are_counted(derive):
    jets = toy_jets(4000)
    derived = derive(jets, pt_edges=[50, 100, 200, 400, 1000], eta_edges=[0, 0.8, 2])
    outside = (jets["gen_pt"] < 50) | (jets["gen_pt"] >= 1000) | (np.abs(jets["jet_eta"]) >= 2)
    assert derived.left_out == outside.sum()
    assert [len(fit.points.pt) for fit in derived.fits] == [4, 4]


@pytest.mark.parametrize(
    ("number", "settings", "message"),
    [
        (200, {}, "jets.parquet: 200 jets within the bins; at least 300 are needed"),
        (500, {}, r"all 500 jets are in one bin of abs\(eta\), at least 2"),
        (900, {"eta_edges": [0, 2, 2.1, 2.5]}, r"from 2 to 2.1: \d+ jets, at least 300"),
        (900, {"eta_edges": [0, 1, 2, 3, 4]}, r"from 2 to 3: \d+ jets"),
        (
            900,
            {"eta_edges": [0, 1, 2.5], "pt_edges": [5, 20, 200, 2000]},
            r"pT_gen from 5 to 20 GeV, abs\(eta\) from 0 to 1: 0 jets, at least 20 are needed",
        ),
        (900, {"eta_edges": [0, 1, 2.5], "pt_edges": [20, 200, 2000, 9000]}, "2000 to 9000 GeV"),
        (3000, {"eta_edges": [0, 1, 2.5], "pt_edges": [200, 201, 2000]}, "200 to 201 GeV"),
    ],
)
def test_bins_without_enough_jets_are_refused(derive, number, settings, message):
    with pytest.raises(DataError, match=message):
        derive(toy_jets(number), **settings)


def test_a_bin_of_eta_may_end_at_a_lower_pt(derive):
    """At large |eta| there are no jets of high pT; the range ends there, and is said."""
    jets = toy_jets(3000)
    kept = (np.abs(jets["jet_eta"]) < 1.3) | (jets["gen_pt"] < 400)
    jets = {name: values[kept] for name, values in jets.items()}
    derived = derive(jets, eta_edges=[0, 1.3, 2.5], pt_edges=[20, 50, 100, 400, 2000])
    assert [len(fit.points.pt) for fit in derived.fits] == [4, 3]
    assert "too few jets above pT_gen = 400 GeV" in derived.remarks[0]
    assert derived.correction.curves.curves[1].high < 420


def test_a_bin_of_eta_without_jets_between_others_is_refused(derive):
    jets = toy_jets(3000)
    hole = (np.abs(jets["jet_eta"]) > 1.3) & (jets["gen_pt"] > 100) & (jets["gen_pt"] < 400)
    jets = {name: values[~hole] for name, values in jets.items()}
    with pytest.raises(DataError, match=r"from 100 to 400 GeV, abs\(eta\) from 1.3 to 2.5: 0 jets"):
        derive(jets, eta_edges=[0, 1.3, 2.5], pt_edges=[20, 50, 100, 400, 2000])


def test_more_bins_than_memory_is_for_are_refused(derive):
    edges = np.linspace(1, 100, 72).tolist()
    with pytest.raises(ConfigError, match=r"5,041 bins in \(pT, eta\); at most 5,000"):
        derive(toy_jets(10), eta_edges=edges, pt_edges=edges)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta_edges": [0, 2.5]}, "--eta-edges: 1 bin; expected at least 2"),
        ({"eta_edges": [1]}, "--eta-edges: 0 bins"),
        ({"pt_edges": [20, 2000]}, "--pt-edges: 1 bin; expected at least 2"),
        ({"pt_edges": [20, 50, 50]}, "--pt-edges: edges must rise.*20 50 50"),
        ({"eta_edges": [-1, 0, 1]}, "--eta-edges: edges must rise from 0 or above"),
    ],
)
def test_edges_that_make_no_bins_are_refused(derive, settings, message):
    with pytest.raises(ConfigError, match=message):
        derive(toy_jets(10), **settings)


def test_a_response_that_falls_too_fast_is_refused_with_file_bin_and_place(derive):
    jets = toy_jets(3000)
    jets["jet_pt"] = 100 * (jets["gen_pt"] / 20) ** -0.3
    with pytest.raises(DataError, match=r"jets.parquet: abs\(eta\) from 0 to 0.4: the measured pT"):
        derive(jets)


@pytest.mark.parametrize(
    ("column", "bad", "message"),
    [
        ("jet_pt", 0.0, r"'jet_pt' \(pt\): 1 of 700 values are not above 0 \(first: 0\)"),
        ("gen_pt", np.nan, r"'gen_pt' \(gen_pt\): 1 of 700 values are not above 0 \(first: nan"),
        ("jet_eta", np.inf, "'jet_eta'.*not finite"),
        ("rho", np.nan, "'rho'.*not finite"),
    ],
)
def test_jets_that_make_no_sense_are_refused(derive, column, bad, message):
    jets = toy_jets(700)
    jets[column][600] = bad
    with pytest.raises(DataError, match=f"jets.parquet, rows from 0: {message}"):
        derive(jets)


def test_a_response_that_jumps_is_said_to_be_badly_described(derive):
    jets = toy_jets(4000, width=0.02)
    jets["jet_pt"] = jets["jet_pt"] * np.where(jets["gen_pt"] > 200, 1.3, 1.0)
    remarks = derive(jets).remarks
    assert "abs(eta) from 0 to 0.4: the response is not described by its fit" in remarks[0]
    assert derive(toy_jets(4000)).remarks == []


def test_a_missing_column_is_named_with_the_nearest(derive):
    with pytest.raises(DataError, match="no column 'jet_etta'; did you mean 'jet_eta'"):
        derive(toy_jets(10), sources=SOURCES | {"eta": "jet_etta"})


def test_lists_of_jets_are_refused(derive):
    with pytest.raises(DataError, match=r"'ch_pt' \(pt\) must give one number a row"):
        derive(toy_jets(10), sources=SOURCES | {"pt": "ch_pt"})


def test_a_file_without_jets_is_refused(derive):
    none = {name: values[:0] for name, values in toy_jets(10).items()}
    with pytest.raises(DataError, match="no jets"):
        derive(none)


def test_the_truth_of_the_toy_is_what_it_says():
    assert true_response(np.array([20.0, 2000]), np.array([0, -2])) == pytest.approx([0.9, 1.03])
