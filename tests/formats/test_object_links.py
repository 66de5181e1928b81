"""Which linked objects belong to which row: worked out by hand for each way to say it."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import DataError
from weaver_tt.formats.object_links import assign, take_lists
from weaver_tt.formats.row_objects import LinkedObjects, matches

# three events with two, no and one jet; and with three, one and two candidates
JETS = np.array([0, 2, 2, 3])
CANDIDATES = np.array([0, 3, 4, 6])


def assigned(columns, linked=CANDIDATES, **ways):
    """Places among all candidates, jet by jet."""
    link = LinkedObjects(name="cands", columns=("c_*",), **ways)
    lists = {name: take_lists(ak.Array(values)) for name, values in columns.items()}
    found = assign(link, JETS, linked, lists.__getitem__, "file")
    return ak.unflatten(found.places, found.counts).to_list()


def test_candidates_that_name_their_jet():
    """``Electron_jetIdx``: -1 is of no jet; those of a jet stay in the order of the file."""
    assert assigned({"jet": [[1, 0, 1], [-1], [0, 0]]}, owner="jet") == [[1], [0, 2], [4, 5]]


def test_those_of_a_jet_stay_in_the_order_of_the_file():
    """Of as many as there are, so that a sort has a choice."""
    jets = np.random.default_rng(1).integers(0, 2, 300)
    columns = {"jet": [jets.tolist(), [], []]}
    found = assigned(columns, linked=np.array([0, 300, 300, 300]), owner="jet")
    assert found == [np.flatnonzero(jets == 0).tolist(), np.flatnonzero(jets == 1).tolist(), []]


def test_a_table_of_pairs_names_both():
    """``JetPFCands_jetIdx`` and ``JetPFCands_pFCandsIdx``: a candidate may be of two jets."""
    columns = {"jet": [[1, 0, 1, 0], [], [0]], "cand": [[2, 2, 0, 1], [], [1]]}
    assert assigned(columns, owner="jet", index="cand") == [[2, 1], [2, 0], [5]]
    columns = {"jet": [[1, 0, 1, 0], [], [0]], "cand": [[2, -1, 0, 1], [], [1]]}
    assert assigned(columns, owner="jet", index="cand") == [[1], [2, 0], [5]]


def test_jets_that_name_one_candidate():
    """``Jet_muonIdx1``."""
    assert assigned({"cand": [[2, -1], [], [0]]}, index="cand") == [[2], [], [4]]


def test_jets_that_name_several_candidates():
    """Lists of places; links of ATLAS without a collection lead nowhere."""
    assert assigned({"cand": [[[2, 0], []], [], [[1]]]}, index="cand") == [[2, 0], [], [5]]
    links = ak.Array(
        [
            [[{"m_persKey": 7, "m_persIndex": 2}, {"m_persKey": 0, "m_persIndex": 0}], []],
            [],
            [[{"m_persKey": 7, "m_persIndex": 1}]],
        ]
    )
    assert assigned({"cand": links}, index="cand") == [[2], [], [5]]


def test_links_into_several_collections_are_refused():
    links = ak.zip({"m_persKey": [[7, 8], [], [7]], "m_persIndex": [[1, 1], [], [0]]})
    with pytest.raises(DataError, match="file: 'cand': its links lead into 2 collections"):
        assigned({"cand": links}, index="cand")


def test_ranges_of_candidates_and_of_a_table():
    """``particles_begin`` and ``particles_end`` of EDM4hep."""
    ranges = {"begin": [[0, 2], [], [1]], "end": [[2, 2], [], [2]]}
    assert assigned(ranges, begin="begin", end="end") == [[0, 1], [], [5]]
    table = {"place": [[2, 1, 0], [], [1, 0]]}
    assert assigned(ranges | table, begin="begin", end="end", index="place") == [[2, 1], [], [4]]


def test_candidates_may_be_named_by_a_number_of_their_own():
    """``fUniqueID`` of Delphes, which a TRefArray holds; 99 is of another collection."""
    columns = {
        "own": [[30, 10, 20], [10], [20, 10]],
        "refs": [[{"refs": [20, 99, 30]}, {"refs": []}], [], [{"refs": [10]}]],
    }
    assert assigned(columns, index="refs", identity="own") == [[2, 0], [], [5]]


@pytest.mark.parametrize(
    ("columns", "ways", "message"),
    [
        ({"jet": [[2, 0, 1], [-1], [0, 0]]}, {"owner": "jet"}, "'jet': place 2 in an event whose"),
        ({"jet": [[0, 0, 1], [0], [0, 0]]}, {"owner": "jet"}, "place 0 .* collection has 0"),
        ({"jet": [[0, 0], [-1], [0, 0]]}, {"owner": "jet"}, "'jet' has 2 entries .* have 3"),
        ({"jet": [[0.5, 0, 1], [0], [0, 0]]}, {"owner": "jet"}, "'jet': expected whole numbers"),
        ({"c": [[3, 0], [], [0]]}, {"index": "c"}, "'c': place 3 in an event whose .* has 3"),
        ({"c": [[3], [], [0]]}, {"index": "c"}, "'c' has 1 entries .* rows' columns have 2"),
        (
            {"jet": [[0, 1], [], []], "c": [[0], [], []]},
            {"owner": "jet", "index": "c"},
            "'c' has 1 entries in an event where 'jet' have 2",
        ),
        (
            {"b": [[2, 0], [], [0]], "e": [[1, 0], [], [0]]},
            {"begin": "b", "end": "e"},
            "a range from 2 to 1",
        ),
        (
            {"b": [[0, 0], [], [0]], "e": [[4, 0], [], [0]]},
            {"begin": "b", "end": "e"},
            "place 3 in an event whose collection has 3",
        ),
        (
            {"b": [[0, 0], [], [0]], "e": [[2, 0], [], [0]], "t": [[0], [], []]},
            {"begin": "b", "end": "e", "index": "t"},
            "'e': place 1 in an event whose collection has 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(columns, ways, message):
    with pytest.raises(DataError, match=message):
        assigned(columns, **ways)


def test_dots_and_underscores_separate_words_alike():
    assert matches("Jet.PT", ["Jet_*"])
    assert matches("Jet_pt", ["Jet.*"])
    assert not matches("JetPFCands_jetIdx", ["Jet_*"])
