"""A file whose rows are jets: every range of rows is what the events say of these jets."""

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_objects import LinkedObjects, RowObjects

# the second and the last event have no jet, the third has a candidate that is of two jets
EVENTS = {
    "Jet_pt": [[50.0, 40.0], [], [30.0, 20.0, 10.0], [60.0], []],
    "Jet_flavour": [[5, 0], [], [4, 0, 0], [5], []],
    "Jet_muonIdx": [[-1, 0], [], [1, -1, -1], [-1], []],
    "Muon_pt": [[7.0], [9.0], [8.0, 6.0], [], []],
    "JetCands_jetIdx": [[1, 0, 0], [], [2, 0, 0], [0], []],
    "JetCands_candIdx": [[0, 1, 2], [], [0, 0, 1], [0], []],
    "Cand_pt": [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0], [7.0], []],
    "met": [10.0, 20.0, 30.0, 40.0, 50.0],
}
ROWS = {
    "event_entry": [0, 0, 2, 2, 2, 3],
    "object_place": [0, 1, 0, 1, 2, 0],
    "Jet_pt": [50.0, 40.0, 30.0, 20.0, 10.0, 60.0],
    "Jet_flavour": [5, 0, 4, 0, 0, 5],
    "met": [10.0, 10.0, 30.0, 30.0, 30.0, 40.0],
    # of a collection without a link: all of the event
    "Muon_pt": [[7.0], [7.0], [8.0, 6.0], [8.0, 6.0], [8.0, 6.0], []],
    "Cand_pt": [[2.0, 3.0], [1.0], [5.0, 6.0], [], [5.0], [7.0]],
    "JetCands_candIdx": [[1, 2], [0], [0, 1], [], [0], [0]],
}
LINKED = (
    LinkedObjects(
        name="Cand", columns=("Cand_*",), owner="JetCands_jetIdx", index="JetCands_candIdx"
    ),
    LinkedObjects(name="JetCands", columns=("JetCands_*",), owner="JetCands_jetIdx"),
)
MUON = LinkedObjects(name="Muon", columns=("Muon_*",), index="Jet_muonIdx")
JETS = RowObjects(name="Jet", columns=("Jet_*",), linked=LINKED)


def columns_of(events):
    return {name: ak.Array(values) for name, values in events.items()}


def write(folder, suffix, events=EVENTS):
    columns = columns_of(events)
    path = folder / f"events{suffix}"
    if suffix == ".parquet":
        ak.to_parquet(ak.zip(columns, depth_limit=1), path, row_group_size=2)
        return str(path)
    with uproot.recreate(path) as file:
        if suffix == ".rntuple.root":
            file.mkrntuple("Events", columns)
        else:
            types = {name: ak.type(values).content for name, values in columns.items()}
            tree = file.mktree("Events", types)
            # several baskets
            for first in range(0, len(columns["met"]), 2):
                tree.extend({name: values[first : first + 2] for name, values in columns.items()})
    return str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".root", ".rntuple.root"])
def test_every_range_of_rows_is_that_of_the_jets(tmp_path, suffix):
    with open_reader(write(tmp_path, suffix), None, JETS) as reader:
        assert reader.rows() == 6
        boundaries = reader.clusters(["Jet_pt"])
        assert boundaries[0] == 0
        assert boundaries[-1] == 6
        for first in range(7):
            for last in range(first, 7):
                found = reader.read(list(ROWS), first, last)
                for name, values in ROWS.items():
                    assert found[name].to_list() == values[first:last], (name, first, last)
        types = reader.types(list(ROWS))
        whole = reader.read(list(ROWS), 0, 6)
        for name, array in whole.items():
            assert array.type.content == types[name], name


def test_clusters_of_events_are_those_of_their_jets(tmp_path):
    """Two events each: with 2, 4 and no jets."""
    for suffix in (".parquet", ".root"):
        with open_reader(write(tmp_path, suffix), None, JETS) as reader:
            assert reader.clusters(["Jet_pt", "Cand_pt"]) == [0, 2, 6]


def test_columns_of_one_collection_share_their_offsets(tmp_path):
    """So that nobody need compare them."""
    events = EVENTS | {"Cand_eta": EVENTS["Cand_pt"]}
    with open_reader(write(tmp_path, ".parquet", events), None, JETS) as reader:
        found = reader.read(["Cand_pt", "Cand_eta"], 1, 5)
        assert found["Cand_pt"].layout.offsets is found["Cand_eta"].layout.offsets


def test_one_object_for_each_jet(tmp_path):
    objects = RowObjects(name="Jet", columns=("Jet_*",), linked=(MUON,))
    with open_reader(write(tmp_path, ".root"), None, objects) as reader:
        found = reader.read(["Muon_pt"], 0, 6)["Muon_pt"].to_list()
    assert found == [[], [7.0], [6.0], [], [], []]


def test_arrays_of_a_fixed_size_become_lists(tmp_path):
    """Two muons in each event, of which some are of no jet."""
    muons = np.arange(10.0).reshape(5, 2)
    events = EVENTS | {
        "Muon_pt": muons,
        "Muon_jetIdx": np.array([[1, 0], [-1, -1]] * 2 + [[-1] * 2]),
    }
    link = LinkedObjects(name="Muon", columns=("Muon_*",), owner="Muon_jetIdx")
    objects = RowObjects(name="Jet", columns=("Jet_*",), linked=(link,))
    path = str(tmp_path / "events.parquet")
    ak.to_parquet(ak.zip(columns_of(events), depth_limit=1), path)
    with open_reader(path, None, objects) as reader:
        found = reader.read(["Muon_pt"], 0, 6)["Muon_pt"]
        assert found.to_list() == [[1.0], [0.0], [5.0], [4.0], [], []]
        assert found.type.content == reader.types(["Muon_pt"])["Muon_pt"]


def test_columns_of_one_collection_with_other_counts_are_refused(tmp_path):
    events = EVENTS | {"Cand_eta": EVENTS["JetCands_candIdx"]}
    with open_reader(write(tmp_path, ".parquet", events), None, JETS) as reader:
        # the first events are alike in both
        assert reader.read(["Cand_pt", "Cand_eta"], 0, 2)["Cand_eta"].to_list() == [[1, 2], [0]]
        with pytest.raises(DataError, match=r"linked\.Cand: 'Cand_eta' has 0 entries .* have 1"):
            reader.read(["Cand_pt", "Cand_eta"], 0, 6)


def test_links_of_atlas_know_whether_they_lead_anywhere(tmp_path):
    """``m_persIndex`` is 0 where ``m_persKey`` says that there is none."""
    prefix = "JetsAuxDyn.muonLink"
    events = {
        "JetsAuxDyn.pt": EVENTS["Jet_pt"],
        f"{prefix}.m_persIndex": [[0, 0], [], [1, 0, 0], [0], []],
        f"{prefix}.m_persKey": [[0, 5], [], [5, 0, 0], [0], []],
        "MuonsAuxDyn.pt": EVENTS["Muon_pt"],
        "met": EVENTS["met"],
    }
    link = LinkedObjects(
        name="Muons", columns=("MuonsAuxDyn.*",), index="JetsAuxDyn_muonLink_m_persIndex"
    )
    objects = RowObjects(name="JetsAuxDyn", columns=("JetsAuxDyn_*",), linked=(link,))
    with open_reader(write(tmp_path, ".root", events), None, objects) as reader:
        found = reader.read(["MuonsAuxDyn_pt"], 0, 6)["MuonsAuxDyn_pt"].to_list()
    assert found == [[], [7.0], [6.0], [], [], []]
    events[f"{prefix}.m_persIndex"] = [[[0], [0]], [], [[1, 0], [], []], [[0, 0]], []]
    events[f"{prefix}.m_persKey"] = [[[0], [5]], [], [[5, 5], [], []], [[0, 0]], []]
    with open_reader(write(tmp_path, ".parquet", events), None, objects) as reader:
        found = reader.read(["MuonsAuxDyn_pt"], 0, 6)["MuonsAuxDyn_pt"].to_list()
    assert found == [[], [7.0], [6.0, 8.0], [], [], []]


def test_ranges_of_edm4hep(tmp_path):
    events = {
        "Jets.energy": EVENTS["Jet_pt"],
        "Jets.particles_begin": [[0, 2], [], [0, 1, 1], [0], []],
        "Jets.particles_end": [[2, 3], [], [1, 1, 2], [1], []],
        "_Jets_particles.index": [[2, 0, 1], [], [1, 0], [0], []],
        "Particles.energy": EVENTS["Cand_pt"],
        "met": EVENTS["met"],
    }
    link = LinkedObjects(
        name="Particles",
        columns=("Particles.*",),
        begin="Jets.particles_begin",
        end="Jets.particles_end",
        index="_Jets_particles.index",
    )
    objects = RowObjects(name="Jets", columns=("Jets.*",), linked=(link,))
    with open_reader(write(tmp_path, ".root", events), None, objects) as reader:
        found = reader.read(["Particles_energy"], 0, 6)["Particles_energy"].to_list()
    assert found == [[3.0, 1.0], [2.0], [6.0], [], [5.0], [7.0]]


def test_a_file_without_jets_has_no_rows(tmp_path):
    events = {name: ak.Array(values)[1:2] for name, values in EVENTS.items()}
    path = write(tmp_path, ".parquet", events)
    with open_reader(path, None, JETS) as reader:
        assert reader.rows() == 0
        assert reader.clusters(["Cand_pt"]) == [0]
        assert reader.read(["Cand_pt", "Jet_pt"], 0, 0)["Cand_pt"].to_list() == []


@pytest.mark.parametrize(
    ("objects", "columns", "message"),
    [
        (RowObjects(name="Jets", columns=("Jets_*",)), ["met"], r"'Jets': no .* 'Jet'"),
        (
            RowObjects(name="met", columns=("met",)),
            ["met"],
            "expected a column with a list .*'met'",
        ),
        (
            RowObjects(name="Jet", columns=("Jet_*",), linked=(LINKED[0], LINKED[1], MUON, MUON)),
            ["Muon_pt"],
            "'Muon_pt' belongs to Muon and Muon",
        ),
        (
            RowObjects(
                name="Jet",
                columns=("Jet_*",),
                linked=(LinkedObjects(name="Cand", columns=("Cand_*",), owner="JetCands_jetIx"),),
            ),
            ["Cand_pt"],
            r"rows\.linked\.Cand: .*no column 'JetCands_jetIx'; did you mean 'JetCands_jetIdx'",
        ),
        (
            RowObjects(
                name="Jet",
                columns=("Jet_*",),
                linked=(LinkedObjects(name="Cand", columns=("Cand_*",), owner="met"),),
            ),
            ["Cand_pt"],
            r"rows\.linked\.Cand: 'met' is float64 for each event; expected lists",
        ),
        (RowObjects(name="Jet", columns=("Jet_*", "Muon_*")), ["Muon_pt"], "'Muon_pt' has 1 entr"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, objects, columns, message):
    path = write(tmp_path, ".root")

    def read():
        with open_reader(path, None, objects) as reader:
            reader.types(columns)
            return reader.read(columns, 0, reader.rows())

    with pytest.raises(DataError, match=message):
        read()


def test_the_names_of_places_are_taken(tmp_path):
    path = write(tmp_path, ".parquet", EVENTS | {"object_place": EVENTS["met"]})
    with pytest.raises(DataError, match="has a column 'object_place'"):
        open_reader(path, None, JETS)


def test_events_are_counted_by_their_number_of_jets_where_the_file_has_it(tmp_path, monkeypatch):
    """One number for each event is read, and no list."""
    events = EVENTS | {"nJet": np.array([2, 0, 3, 1, 0], "i4")}
    with open_reader(write(tmp_path, ".parquet", events), None, JETS) as reader:
        read = []
        inner = type(reader._events).read

        def noting(self, columns, first, last):
            read.append(list(columns))
            return inner(self, columns, first, last)

        monkeypatch.setattr(type(reader._events), "read", noting)
        assert reader.rows() == 6
        assert read == [["nJet"]]
