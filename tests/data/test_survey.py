"""What a person is told of the files: names that are missing, values that look odd."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data import survey
from weaver_tt.data.first_rows import FirstRows
from weaver_tt.data.rows.rows import JaggedObjects, Rows

CONFIG = {
    "new_variables": {"jet_energy": "jet_pt * 2", "is_bb": "flavour == 5"},
    "selection": "event > 0",
    "inputs": {
        "jets": {"length": 2, "vars": [["jet_energy", 10.0, 0.5, -1, 1], ["jet_mass", None]]},
        "event": {"length": None, "vars": [["event", None]]},
    },
    "labels": {"type": "simple", "value": ["is_b", "is_c"]},
}


@pytest.fixture
def config():
    return from_mapping(CONFIG)


@pytest.mark.parametrize(
    ("values", "sentinel", "share"),
    [
        ([-999.0, -999.0, 0.0, 1.0, 2.0, 500.0], -999.0, 2 / 6),
        ([-99.0, 10.0, 5000.0], -99.0, 1 / 3),
        ([1e10, 1e10, 1.0, 2.0, 3.0], 1e10, 2 / 5),
        # an outlier, such as the significance of one impact parameter
        ([1e10, 1.0, 2.0, 3.0], None, 0),
        # a flavour, a charge, a flag, a multiplicity and one value alone
        ([0.0, 0.0, 4.0, 5.0], None, 0),
        ([-1.0, 1.0, 1.0], None, 0),
        ([0.0, 1.0], None, 0),
        ([1.0, 2.0, 3.0, 9.0], None, 0),
        # the number of a lepton and of its antiparticle
        ([-11.0, 11.0, 11.0], None, 0),
        ([-99.0, 11.0, 11.0], -99.0, 1 / 3),
        ([-999.0, -999.0], None, 0),
        ([], None, 0),
    ],
)
def test_values_that_stand_for_nothing(values, sentinel, share):
    found = survey.find_sentinel(np.array(values))
    assert found == (sentinel, pytest.approx(share))


def test_a_value_that_is_rare_stands_for_nothing():
    values = np.append(np.arange(1000.0), -99999.0)
    assert survey.find_sentinel(values) == (None, 0.0)


def test_shares_of_a_variable_by_hand(config):
    group = config.inputs["jets"]
    energy = group.variables[0]
    # scaled by (x - 10) / 2, of which 13 and 7.9 lie beyond -1 and 1
    values = np.array([10, 12, 13, 7.9, np.nan, np.inf, 8, 10])
    found = survey.survey_values(group, energy, values)
    assert (found.values, found.nonfinite, found.clipped) == (8, 0.25, pytest.approx(2 / 6))
    assert (found.low, found.median, found.high) == (7.9, 10.0, 13.0)
    assert not found.constant
    assert survey.survey_values(group, energy, np.array([3.0, 3.0, np.nan])).constant
    empty = survey.survey_values(group, energy, np.array([np.nan]))
    assert (empty.nonfinite, empty.median, empty.clipped) == (1.0, None, 0.0)
    assert survey.survey_values(group, energy, np.array([])).nonfinite == 0


def test_columns_are_measured_over_all_groups(config):
    tables = [
        {"jet_energy": ak.Array([[1.0, 2.0]]), "jet_mass": ak.Array([[0, 0]]), "event": [7]},
        {"jet_energy": ak.Array([[], [4.0]]), "jet_mass": ak.Array([[], [0]]), "event": [8, 9]},
    ]
    first = [
        FirstRows("_", "a.root", {}, table, np.arange(len(table["event"]))) for table in tables
    ]
    energy, mass, event = survey.survey_columns(first, config)
    assert (energy.name, energy.values, energy.high) == ("jet_energy", 3, 4.0)
    assert mass.constant
    assert (event.group, event.median) == ("event", 8.0)


def rows(kept, full, **more) -> Rows:
    content = np.zeros((sum(kept), 2), dtype=np.float32)
    counts = np.array(kept, dtype=np.int64)
    jets = JaggedObjects(content, counts, np.array(full, dtype=np.int64), slice(0, 2))
    return Rows({"jets": jets}, more, {}, size=len(kept))


def test_padding_and_objects_beyond_the_length_by_hand(config):
    # 2 + 1 + 0 of 3 x 2 slots; 5 + 1 + 0 objects, of which 3 are kept
    (nothing,) = survey.survey_objects([rows([0, 0], [0, 0])], config)
    assert (nothing.mean, nothing.padded, nothing.beyond) == (0, 1, 0)
    (found,) = survey.survey_objects([rows([2, 1], [5, 1]), rows([0], [0])], config)
    assert (found.group, found.length, found.mean, found.most) == ("jets", 2, 2.0, 5)
    assert (found.padded, found.beyond) == (pytest.approx(0.5), pytest.approx(0.5))


def test_the_memory_of_a_row_counts_shared_arrays_once():
    # 3 objects x 2 features of 4 bytes, counts twice 8 bytes, a scalar of 4 bytes, for 2 rows
    one = rows([2, 1], [2, 1], event=np.zeros((2, 1), dtype=np.float32))
    assert survey.row_bytes(one) == (24 + 16 + 16 + 8) / 2
    one.objects["again"] = one.objects["jets"]
    assert survey.row_bytes(one) == (24 + 16 + 16 + 8) / 2
