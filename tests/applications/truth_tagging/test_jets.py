"""Columns of jets in chunks: roles, weights, leading jets, and columns that a data YAML makes."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.applications.truth_tagging import jets as module
from weaver_tt.applications.truth_tagging.jets import (
    JetFiles,
    JetTable,
    first_chunks,
    stream_jets,
)
from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import open_writer

ROOT = Path(__file__).parents[3]
NANO = ROOT.parent / "shared" / "data" / "cms_nanov12_ttbar_200ev.root"
NAMES = {"pt": "jet_pt", "tag": "jet_istag"}


@pytest.fixture
def path(tmp_path):
    columns = {
        "jet_pt": [[30.0, 40.0], [], [50.0]],
        "jet_istag": [[True, False], [], [True]],
        "w": [1.0, -1.0, 2.0],
        "jet_bad": [[1.0], [], [1.0]],
    }
    with open_writer(tmp_path / "jets.root") as writer:
        writer.write({name: ak.Array(values) for name, values in columns.items()})
    return str(tmp_path / "jets.root")


def test_jets_as_rows_are_refused(path):
    """Which of them are of one event would be lost."""
    config = from_mapping(
        {"inputs": {"jet": {"vars": ["jet_pt"]}}, "rows": {"objects": "jet"}}, source="test.yaml"
    )
    with pytest.raises(ConfigError, match=r"test\.yaml: rows: expected events with lists of jets"):
        JetFiles(paths=[path], names=NAMES, config=config)


def test_columns_are_flat_and_weights_follow_their_jets(path):
    (jets,) = stream_jets(JetFiles(paths=[path], names=NAMES, weight="w"))
    assert jets["pt"].tolist() == [30, 40, 50]
    assert jets["tag"].tolist() == [1, 0, 1]
    assert jets.counts.tolist() == [2, 0, 1]
    assert jets.jet_weight.tolist() == [1, 1, 2]


def test_optional_columns_are_read_where_all_files_have_them(path, tmp_path):
    (jets,) = stream_jets(
        JetFiles(
            paths=[path], names={"pt": "jet_pt"}, optional={"tag": "jet_istag", "mass": "jet_mass"}
        )
    )
    assert "tag" in jets
    assert "mass" not in jets
    with open_writer(tmp_path / "other.root") as writer:
        writer.write({"jet_pt": ak.Array([[20.0]])})
    chunks = list(
        stream_jets(
            JetFiles(
                paths=[path, str(tmp_path / "other.root")],
                names={"pt": "jet_pt"},
                optional={"tag": "jet_istag"},
            )
        )
    )
    assert all("tag" not in jets for jets in chunks)


def test_columns_that_do_not_fit_are_named(path):
    with pytest.raises(DataError, match="did you mean 'jet_pt'"):
        list(stream_jets(JetFiles(paths=[path], names={"pt": "jet_pT"})))
    with pytest.raises(DataError, match="'jet_pt' and 'jet_bad' hold different numbers of jets"):
        list(stream_jets(JetFiles(paths=[path], names={"pt": "jet_pt", "eta": "jet_bad"})))
    with pytest.raises(DataError, match=r"'w' .* one list of jets an event"):
        list(stream_jets(JetFiles(paths=[path], names={"pt": "w"})))
    with pytest.raises(DataError, match="'jet_pt' must hold 0 or 1"):
        list(stream_jets(JetFiles(paths=[path], names={"tag": "jet_pt"})))


def test_first_chunks_say_what_share_they_are(path, monkeypatch):
    monkeypatch.setattr(module.row_ranges, "__defaults__", (2,))
    chunks, share = first_chunks(JetFiles(paths=[path], names=NAMES))
    assert [jets.rows for jets in chunks] == [2]
    assert share == pytest.approx(2 / 3)


def test_leading_jets_are_those_of_highest_pt():
    jets = JetTable({"pt": np.array([10.0, 30, 20, 5, 7, 7])}, np.array([3, 1, 2]), np.ones(3), 3)
    assert jets.leading(2).tolist() == [[1, 2], [4, 5]]


def test_flavours_other_than_b_and_c_are_light():
    jets = JetTable({"flavour": np.array([5.0, -5, 4, 0, 15, 21])}, np.array([6]), np.ones(1), 1)
    assert jets.flavour.tolist() == [0, 0, 1, 2, 2, 2]


@pytest.mark.skipif(not NANO.exists(), reason="needs the shared data")
def test_a_data_yaml_makes_the_columns_from_nanoaod():
    config = load_config(str(ROOT / "data_configs" / "nanoaod_btag_efficiency.yaml"))
    names = {"pt": "jet_pt", "eta": "jet_eta", "flavour": "jet_flavour", "tag": "jet_istag"}
    (jets,) = stream_jets(JetFiles(paths=[str(NANO)], names=names, config=config))
    file = uproot.open(NANO)["Events"].arrays(
        ["Jet_pt", "Jet_eta", "Jet_hadronFlavour", "Jet_btagDeepFlavB"]
    )
    good = (file.Jet_pt > 20) & (abs(file.Jet_eta) < 2.5) & (file.Jet_btagDeepFlavB >= 0)
    assert jets.counts.tolist() == ak.sum(good, axis=1).tolist()
    assert jets["tag"].sum() == ak.sum(file.Jet_btagDeepFlavB[good] > 0.3)
    assert jets["flavour"].tolist() == ak.flatten(file.Jet_hadronFlavour[good]).tolist()


def test_the_event_weight_of_a_data_yaml_is_used(path):
    yaml = {
        "inputs": {"jets": {"length": 4, "vars": ["jet_pt"]}},
        "labels": {"type": "per_object", "value": ["jet_istag"]},
        "selection": "w > 0",
        "event_weight": "2 * w",
    }
    (jets,) = stream_jets(JetFiles(paths=[path], names=NAMES, config=from_mapping(yaml)))
    assert jets.weight.tolist() == [2, 4]
    with pytest.raises(ConfigError, match="no column 'jet_mass'"):
        list(
            stream_jets(
                JetFiles(paths=[path], names={"mass": "jet_mass"}, config=from_mapping(yaml))
            )
        )


def test_an_event_weight_must_be_finite_and_look_at_one_event_at_a_time(path, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def share(w):\n    return w / sum(w)\n")
    yaml = {
        "inputs": {"jets": {"length": 4, "vars": ["jet_pt"]}},
        "labels": {"type": "per_object", "value": ["jet_istag"]},
    }
    for weight, message in (
        ("share(w)", "event_weight: .*depends on the other rows"),
        ("ak.max(jet_pt, axis=1)", "event weight is not finite in 1 of 3 "),
    ):
        config = from_mapping(yaml | {"event_weight": weight}, custom_functions=str(own))
        with pytest.raises(DataError, match=message):
            list(stream_jets(JetFiles(paths=[path], names=NAMES, config=config)))
