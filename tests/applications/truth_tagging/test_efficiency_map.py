"""The binned map: efficiencies and errors of hand-made jets, empty bins, choice of bins."""

import math

import awkward as ak
import numpy as np
import pytest

from weaver_tt.applications.truth_tagging import toy
from weaver_tt.applications.truth_tagging.efficiency_map import MapBinning, MapMaker, make_map
from weaver_tt.applications.truth_tagging.jets import JetFiles, JetTable
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import open_writer

NAMES = {"pt": "jet_pt", "eta": "jet_eta", "flavour": "jet_flavour", "tag": "jet_istag"}
EDGES = {
    name: (np.array([20.0, 50.0, 100.0]), np.array([-2.0, 0.0, 2.0]))
    for name in ("b", "c", "light")
}


def one_event_each(*jets):
    """Jets of (pt, eta, flavour, tag, weight), each an event of its own."""
    pt, eta, flavour, tag, weight = (np.array(column, float) for column in zip(*jets, strict=True))
    return JetTable(
        {"pt": pt, "eta": eta, "flavour": flavour, "tag": tag},
        np.ones(len(pt), int),
        weight,
        len(pt),
    )


def test_efficiency_and_binomial_error_of_a_bin():
    maker = MapMaker(EDGES)
    maker.add(one_event_each(*[(30, -1, 5, tag, 1) for tag in (1, 0, 0, 0)]))
    maker.add(one_event_each(*[(30, -1, 5, tag, 1) for tag in (1, 1, 1, 0)]))
    efficiency, error = maker.finish()(np.array([49.0]), np.array([-0.1]), np.array([0]))
    assert efficiency == pytest.approx([0.5])
    assert error == pytest.approx([math.sqrt(0.5 * 0.5 / 8)])


def test_signed_weights_enter_value_and_error():
    maker = MapMaker(EDGES)
    maker.add(one_event_each((30, 1, 4, 1, 2.0), (30, 1, 4, 1, -1.0), (30, 1, 4, 0, 3.0)))
    efficiency, error = maker.finish()(np.array([30.0]), np.array([1.0]), np.array([1]))
    assert efficiency == pytest.approx([1 / 4])  # (2 - 1) / (2 - 1 + 3)
    assert error == pytest.approx([math.sqrt((4 + 1) * 0.75**2 + 9 * 0.25**2) / 4])


def test_bins_in_which_no_jet_is_tagged_have_an_error_too():
    maker = MapMaker(EDGES)
    maker.add(one_event_each(*[(30, 1, 0, 0, 1)] * 8))
    efficiency, error = maker.finish()(np.array([30.0]), np.array([1.0]), np.array([2]))
    assert efficiency == [0]
    assert error == pytest.approx([math.sqrt(1 * 9 / (10**2 * 11))])  # of a Beta(1, 9) distribution


def test_jets_outside_the_edges_belong_to_the_outermost_bins():
    maker = MapMaker(EDGES)
    maker.add(one_event_each((500, 3, 5, 1, 1), (60, 1, 5, 0, 1), (5, -9, 5, 1, 1)))
    efficiency, _ = maker.finish()(
        np.array([90.0, 1000.0, 30.0]), np.array([0.5, 0.5, -0.5]), np.array([0, 0, 0])
    )
    assert efficiency.tolist() == [0.5, 0.5, 1.0]


def test_empty_bins_take_the_value_of_their_pt_bin_then_of_the_flavour():
    maker = MapMaker(EDGES)
    maker.add(one_event_each((30, -1, 5, 1, 1), (30, -1, 5, 0, 1)))
    table = maker.finish().flavours
    assert table["b"].efficiency.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert table["b"].error[1, 1] == pytest.approx(math.sqrt(0.25 / 2))
    assert (table["c"].efficiency == 0).all()
    assert (table["c"].error == 1).all()


def test_tags_are_counted_per_flavour():
    maker = MapMaker(EDGES)
    maker.add(one_event_each(*[(30, 1, 5, 1, 2.0)] * 3, (30, 1, 0, 0, 1)))
    table = maker.finish().flavours
    assert (table["b"].tags, table["light"].tags) == (3, 0)


def test_the_map_of_toy_jets_gives_back_their_mean_efficiency(tmp_path):
    toy.write_toy(str(tmp_path / "toy.root"), 20_000, 2)
    events = toy.generate_toy(20_000, 2)
    found = make_map(
        JetFiles(paths=[str(tmp_path / "toy.root")], names=NAMES), MapBinning(pt_bins=6, eta_bins=4)
    )
    pt, eta, flavour = (
        ak.to_numpy(ak.flatten(events[name])) for name in ("jet_pt", "jet_eta", "jet_flavour")
    )
    for number, (name, code) in enumerate({"b": 5, "c": 4}.items()):
        here = flavour == code
        efficiency, _ = found(pt[here], eta[here], np.full(here.sum(), number))
        tags = ak.sum(events.jet_istag[events.jet_flavour == code])
        assert efficiency.sum() == pytest.approx(tags)
        assert found.flavours[name].tags == tags


def test_bins_are_fewer_where_tags_are_few():
    pt, eta = np.linspace(20, 120, 1001), np.tile([-1.0, 0.0, 1.0], 334)[:1001]
    binning = MapBinning(pt_bins=8, eta_bins=2)
    assert len(binning.edges(pt, eta, tags=1e5)[0]) == 9
    pt_edges, eta_edges = binning.edges(pt, eta, tags=100)  # half as many each way
    assert pt_edges.tolist() == [20, 45, 70, 95, 120]
    assert len(eta_edges) == 2


def test_given_edges_hold_for_all_flavours():
    pt_edges, eta_edges = MapBinning(pt_edges=[20, 40, 80], eta_edges=[0, 1]).edges(
        np.array([30.0]), np.array([0.5]), 0
    )
    assert (pt_edges.tolist(), eta_edges.tolist()) == ([20, 40, 80], [0, 1])


def test_bad_binning_is_refused():
    with pytest.raises(ConfigError, match="pt_edges must be at least two rising numbers"):
        MapBinning(pt_edges=[20, 20])
    with pytest.raises(ConfigError, match="eta_bins must be at least 1"):
        MapBinning(eta_bins=0)


def test_files_without_jets_are_refused(tmp_path):
    path = str(tmp_path / "empty.root")
    empty = ak.values_astype(ak.Array([[1.0], []])[1:], "float32")
    with open_writer(path) as writer:
        writer.write(dict.fromkeys(NAMES.values(), empty))
    with pytest.raises(DataError, match="no jets to make an efficiency map from"):
        make_map(JetFiles(paths=[path], names=NAMES), MapBinning())
