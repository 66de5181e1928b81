"""Closure on toy events: what is exact closes, what ignores the neighbours does not."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.applications.truth_tagging import toy
from weaver_tt.applications.truth_tagging.closure import measure_closure
from weaver_tt.applications.truth_tagging.efficiency_map import MapBinning, make_map
from weaver_tt.applications.truth_tagging.jets import JetFiles
from weaver_tt.errors import DataError
from weaver_tt.formats.writers import open_writer

NAMES = {name: f"jet_{name}" for name in ("pt", "eta", "phi", "flavour")} | {
    "tag": "jet_istag",
    "efficiency": "jet_eff",
}
OPTIONAL = {"mass": "jet_mass", "truth": "jet_eff_true"}


def predictions(path, events, factor=1.0, without=()):
    """A prediction file of a network that is off by ``factor`` everywhere."""
    columns = {name: events[name] for name in events.fields if name not in without}
    with open_writer(path) as writer:
        writer.write(columns | {"jet_eff": events.jet_eff_true * np.float32(factor)})
    return JetFiles(paths=[str(path)], names=NAMES, optional=OPTIONAL)


def map_of(source):
    return make_map(source, MapBinning())


@pytest.fixture(scope="module")
def events():
    return toy.generate_toy(30_000, seed=11)


@pytest.fixture(scope="module")
def exact(events, tmp_path_factory):
    """A perfect network, beside the map of the same events."""
    source = predictions(tmp_path_factory.mktemp("closure") / "pred.root", events)
    return measure_closure(source, map_of(source)).summary()


def test_a_perfect_network_has_no_residuals_and_the_map_has(exact):
    assert exact["residuals"]["network"]["b"]["rms"] == pytest.approx(0, abs=1e-9)
    assert exact["residuals"]["map"]["b"]["rms"] > 0.15
    assert exact["residuals"]["map"]["light"]["rms"] > 0.25


def test_a_perfect_network_closes_like_the_truth_where_the_map_does_not(exact):
    fits = exact["distributions"]["delta_r"]["leading"]["all"]
    assert fits["network"] == fits["true"]
    assert abs(fits["true"]["chi2_per_ndf"] - 1) < 4 * np.sqrt(2 / fits["true"]["ndf"])
    assert fits["map"]["chi2_per_ndf"] > 2


def test_flavour_pairs_add_up_to_all(exact, events):
    pairs = exact["distributions"]["mass"]["both"]
    parts = [pairs[name]["direct"]["tagged"] for name in ("bb", "bc", "bl", "cc", "cl", "ll")]
    both = int(ak.sum(events.jet_istag[:, 0] & events.jet_istag[:, 1]))
    assert sum(parts) == pairs["all"]["direct"]["tagged"]
    assert pairs["all"]["direct"]["tagged"] + pairs["tagged_outside_edges"] == both


def test_counts_and_tag_totals(exact, events):
    assert (exact["events"], exact["events_with_two_jets"], exact["jets"]) == (
        30_000,
        30_000,
        len(ak.flatten(events.jet_pt)),
    )
    b = exact["tag_totals"]["network"]["b"]
    assert b["direct"] == ak.sum(events.jet_istag[events.jet_flavour == 5])
    assert abs(b["pull"]) < 4
    assert exact["tag_totals"]["map"]["b"]["expected_over_direct"] == pytest.approx(
        1
    )  # the map is made from the same jets


def test_a_network_that_is_off_by_a_tenth_is_found_out(events, tmp_path):
    source = predictions(tmp_path / "pred.root", events, factor=0.9)
    found = measure_closure(source, map_of(source)).summary()
    assert found["residuals"]["network"]["c"]["mean"] == pytest.approx(0.1, abs=1e-5)
    assert found["tag_totals"]["network"]["b"]["expected_over_direct"] == pytest.approx(
        0.9, abs=0.02
    )
    assert found["distributions"]["delta_r"]["leading"]["all"]["network"]["chi2_per_ndf"] > 2


def test_without_truth_and_masses_all_that_needs_none_is_done(events, tmp_path):
    source = predictions(
        tmp_path / "pred.root", events[:5000], without=("jet_eff_true", "jet_mass")
    )
    found = measure_closure(source, map_of(source)).summary()
    assert found["residuals"] == {}
    assert set(found["distributions"]["mass"]["both"]["bb"]) == {"direct", "map", "network"}


def test_event_weights_scale_everything(events, tmp_path):
    source = predictions(tmp_path / "pred.root", events[:5000])
    weighted = ak.with_field(events[:5000], np.full(5000, -2.0), "w")
    signed = JetFiles(
        **{
            name: getattr(predictions(tmp_path / "weighted.root", weighted), name)
            for name in ("paths", "names", "optional")
        },
        weight="w",
    )
    one, two = (
        measure_closure(source, map_of(source)).summary(),
        measure_closure(signed, map_of(source)).summary(),
    )
    plain, scaled = (found["distributions"]["delta_r"]["leading"]["all"] for found in (one, two))
    assert scaled["direct"]["tagged"] == -2 * plain["direct"]["tagged"]
    assert scaled["network"]["chi2"] == pytest.approx(plain["network"]["chi2"])


def test_chunks_change_nothing(events, tmp_path, monkeypatch):
    source = predictions(tmp_path / "pred.root", events[:4000])
    efficiency_map = map_of(source)
    at_once = measure_closure(source, efficiency_map)
    monkeypatch.setattr(
        "weaver_tt.applications.truth_tagging.jets.row_ranges.__defaults__", (1500,)
    )
    chunked = measure_closure(source, efficiency_map)
    assert chunked.summary()["residuals"]["map"]["b"] == pytest.approx(
        at_once.summary()["residuals"]["map"]["b"]
    )


def test_jets_beyond_the_networks_length_are_counted_and_a_leading_one_is_an_error(
    events, tmp_path
):
    cut = ak.where(ak.local_index(events.jet_pt) < 3, events.jet_eff_true, np.nan)
    source = predictions(
        tmp_path / "pred.root",
        ak.with_field(events, cut, "jet_eff_true"),
        without=("jet_eff_true",),
    )
    assert measure_closure(source, map_of(source)).summary()[
        "jets_without_network_efficiency"
    ] == ak.sum(np.isnan(cut))
    short = ak.where(ak.local_index(events.jet_pt) < 1, events.jet_eff_true, np.nan)
    source = predictions(
        tmp_path / "pred.root",
        ak.with_field(events, short, "jet_eff_true"),
        without=("jet_eff_true",),
    )
    with pytest.raises(DataError, match="'jet_eff' is NaN for one of the two leading jets"):
        measure_closure(source, map_of(source))


def test_numbers_that_are_no_efficiencies_are_refused(events, tmp_path):
    source = predictions(tmp_path / "pred.root", events[:100], factor=9)
    with pytest.raises(DataError, match=r"'jet_eff' holds values outside \[0, 1\]"):
        measure_closure(source, map_of(source))
    source = predictions(
        tmp_path / "pred.root",
        ak.with_field(events[:100], events.jet_eff_true[:100] * 0, "jet_eff_true"),
    )
    with pytest.raises(DataError, match="'jet_eff_true' must hold efficiencies"):
        measure_closure(source, map_of(source))


def test_events_with_one_jet_alone_cannot_close(events, tmp_path):
    single = ak.Array(
        {
            name: events[name][:50, :1] if name != "event_number" else events[name][:50]
            for name in events.fields
        }
    )
    source = predictions(tmp_path / "pred.root", single)
    with pytest.raises(DataError, match="no event has two jets"):
        measure_closure(source, map_of(source))
