"""From raw columns to the selected table."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.rows.table import flat_column, make_table, read_columns, select_rows
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.formats.open_reader import open_reader


def config(**more):
    values = {
        "new_variables": {
            "jet_pt2": "2 * jet_pt",
            "ht": "ak.sum(jet_pt, axis=1)",
            "far": "jet_pt / ht",
        },
        "inputs": {"jets": {"length": 3, "vars": ["jet_pt", "jet_pt2", "far"]}},
        **more,
    }
    return from_mapping(values)


def columns(**more):
    return {
        "jet_pt": ak.Array([[10.0, 30.0], [], [25.0]]),
        "jet_eta": ak.Array([[0.1, 0.2], [], [3.0]]),
        "met": np.array([1.0, 2.0, 3.0]),
        **more,
    }


def selected(conf, purpose="train", **more):
    return select_rows(columns(**more), make_plan(conf, purpose), conf, "file.root", "group")


def test_new_variables_are_computed_from_each_other():
    table, accounting = make_table(
        columns(), make_plan(config(), "train"), config(), "file.root", "group"
    )
    assert table["jet_pt2"].tolist() == [[20, 60], [], [50]]
    assert table["far"].tolist() == [[0.25, 0.75], [], [1]]
    assert accounting.read == accounting.selected == {"group": 3}


def test_a_chain_of_3000_new_variables_is_computed():
    chain = {"v0": "jet_pt + 1"} | {f"v{number}": f"v{number - 1} + 1" for number in range(1, 3000)}
    inputs = {"jets": {"length": 2, "vars": ["v2999"]}}
    conf = from_mapping({"inputs": inputs, "new_variables": chain}, "x.yaml")
    table = selected(conf).table
    assert table["v2999"].to_list() == [[3010, 3030], [], [3025]]


def test_row_selection_drops_rows_and_counts_them():
    found = selected(config(selection="(met > 1) & (ht >= 0)"))
    assert found.passed.tolist() == [False, True, True]
    assert found.table["jet_pt2"].tolist() == [[], [50]]
    assert found.accounting.dropped == {("group", "selection"): 1}
    assert found.accounting.selected == {"group": 2}


def test_rows_without_objects_are_kept():
    assert selected(config(selection="met < 3")).table["jet_pt"].tolist() == [[10, 30], []]


def test_prediction_has_its_own_selection():
    conf = config(selection="met > 1", test_time_selection="met > 2")
    assert selected(conf, "predict").passed.tolist() == [False, False, True]


def test_a_chunk_in_which_no_row_passes_is_no_error_and_nothing_is_computed_from_it():
    conf = config(
        selection="met > 99",
        new_variables={"jet_pt2": "jet_pt", "far": "jet_pt", "ht": "not_in_this_table"},
    )
    found = selected(conf)
    assert not found.passed.any()
    assert found.accounting.selected.total() == 0


def test_a_row_whose_selection_is_missing_does_not_pass_and_counts_as_dropped():
    # the second row has no jets, and so no largest momentum, neither above nor below 26
    above = selected(config(selection="ak.max(jet_pt, axis=1) > 26"))
    assert above.passed.tolist() == [True, False, False]
    below = selected(config(selection="~(ak.max(jet_pt, axis=1) > 26)"))
    assert below.passed.tolist() == [False, False, True]
    assert below.accounting.dropped == {("group", "selection"): 2}


def test_an_object_whose_selection_is_missing_does_not_pass():
    conf = config(object_selection={"jets": "ak.nan_to_none(np.log(jet_pt - 25)) > 0"})
    found = selected(conf)
    # log(-15) and log(0) = -inf, log(5) > 0
    assert found.table["jet_pt"].tolist() == [[30], [], []]
    assert found.accounting.objects_dropped == {"jets": 2}


def test_a_missing_value_stays_missing_for_new_variables_made_of_it():
    conf = config(
        selection="(met > 0) & (leading != 30)",
        new_variables={
            "leading": "ak.max(jet_pt, axis=1)",
            "filled": "ak.fill_none(leading, -1)",
            "jet_pt2": "jet_pt / leading",
            "far": "jet_pt",
        },
        monitor_variables=["filled", "leading"],
    )
    # where the largest is missing, so is the comparison
    assert selected(conf).table["filled"].tolist() == [25]
    conf = replace(conf, selection=None)
    found = selected(conf).table
    assert found["leading"].tolist() == [30, None, 25]
    assert found["filled"].tolist() == [30, -1, 25]
    assert found["jet_pt2"].tolist() == [[10 / 30, 1], [], [1]]
    # and becomes NaN where it is used
    assert np.array_equal(flat_column(found["leading"]), [30, np.nan, 25], equal_nan=True)


def test_missing_objects_stay_missing_when_rows_are_selected():
    conf = config(
        selection="ak.num(hard) > 0",
        new_variables={
            "hard": "ak.mask(jet_pt, jet_pt > 26)",
            "jet_pt2": "ak.fill_none(hard, -1)",
            "far": "jet_pt",
        },
    )
    assert selected(conf).table["jet_pt2"].tolist() == [[-1, 30], [-1]]


def test_missing_numbers_are_nan_and_the_type_does_not_depend_on_whether_one_is_missing():
    whole = ak.argmax(ak.Array([[1, 5], [3]]), axis=1)
    for values, expected in ((whole, [1, 0]), (ak.Array([None, True]), [np.nan, 1])):
        found = flat_column(values)
        assert found.dtype == np.float64
        assert np.array_equal(found, expected, equal_nan=True)
    jagged = flat_column(ak.Array([[1.5, None], []]))
    assert np.array_equal(jagged.content, [1.5, np.nan], equal_nan=True)
    # without any objects at all
    assert np.isnan(flat_column(ak.max(ak.Array([[], []]), axis=1))).all()


def test_the_object_selection_comes_first_and_filters_all_columns_of_the_group():
    conf = config(
        object_selection={"jets": "jet_pt2 > 45"}, selection="ht > 0", observers=["jet_eta", "met"]
    )
    found = selected(conf, "predict")
    assert found.table["jet_pt"].tolist() == [[30], [25]]
    assert found.table["jet_eta"].tolist() == [[0.2], [3.0]]
    assert found.table["ht"].tolist() == [30, 25]  # as if the file held only those jets
    assert found.table["met"].tolist() == [1, 3]
    assert found.accounting.objects_dropped == {"jets": 1}


def test_a_column_of_another_collection_that_looks_alike_is_named():
    conf = config(object_selection={"jets": "jet_pt > 20"}, observers=["jet_sub"])
    with pytest.raises(DataError, match=r"file.root.*jet_sub.*has 1 object in row 0 .* has 2"):
        selected(conf, "predict", jet_sub=ak.Array([[1.0], [], [2.0]]))


def test_lists_of_lists_are_filtered_with_their_objects():
    conf = config(
        object_selection={"jets": "jet_pt > 20"}, selection="met != 2", observers=["jet_hits"]
    )
    found = selected(conf, "predict", jet_hits=ak.Array([[[1], [2, 3]], [], [[4]]]))
    assert found.table["jet_hits"].tolist() == [[[2, 3]], [[4]]]


def test_file_magic_gives_a_constant_by_path():
    conf = config(file_magic={"is_signal": {"signal": 1, "file": 5}}, selection="is_signal == 5")
    assert selected(conf).passed.all()


def test_file_magic_of_a_group_is_not_known_of_files_without_a_name():
    labels = {"type": "custom", "value": {"y": "is_data"}}
    conf = config(file_magic={"is_data": {"group:": 1}}, labels=labels)
    assert selected(conf, "predict").table["is_data"].tolist() == [1, 1, 1]

    def unnamed(conf):
        plan = make_plan(conf, "predict")
        return select_rows(columns(), plan, conf, "group.root", UNNAMED_GROUP).table

    # as a label that the files lack
    assert {"is_data", "y"}.isdisjoint(unnamed(conf))
    # what is asked for has a value, and a path is known
    assert unnamed(replace(conf, observers=("is_data",)))["is_data"].tolist() == [0, 0, 0]
    by_path = config(file_magic={"is_data": {"x:": 2, "group": 1}}, labels=labels)
    assert unnamed(by_path)["is_data"].tolist() == [1, 1, 1]


def test_branch_magic_renames_columns_where_the_file_is_read(tmp_path):
    path = str(tmp_path / "a.parquet")
    ak.to_parquet(ak.Array({"pfjet_pt": [[1.0]], "met": [2.0]}), path)
    conf = config(branch_magic={"jet_": "pfjet_"})
    with open_reader(path) as reader:
        found = read_columns(reader, ["jet_pt", "met"], conf, 0, 1)
    assert {name: values.tolist() for name, values in found.items()} == {
        "jet_pt": [[1.0]],
        "met": [2.0],
    }


@pytest.mark.parametrize("selection", ["jet_pt > 3", "met + 0.5"])
def test_a_selection_that_is_no_yes_or_no_for_each_row_is_an_error(selection):
    with pytest.raises(DataError, match=r"file.root: selection .*true or false for each row"):
        selected(config(selection=selection))


def test_an_expression_that_does_not_fit_names_file_and_variable():
    conf = config(new_variables={"jet_pt2": "jet_pt + other", "ht": "met", "far": "jet_pt"})
    with pytest.raises(DataError, match=r"file.root: new variable 'jet_pt2'.*other"):
        selected(conf, other=ak.Array([[1.0], [], []]))


def test_optional_variables_are_left_out_where_their_columns_are():
    conf = config(
        labels={"type": "custom", "value": {"y": "truth2"}},
        new_variables={"jet_pt2": "jet_pt", "far": "jet_pt", "truth2": "2 * truth"},
    )
    assert "truth2" not in selected(conf, "predict").table
    assert selected(conf, "predict", truth=np.ones(3)).table["truth2"].tolist() == [2, 2, 2]


def test_lists_that_are_all_empty_are_jagged_too():
    assert flat_column(ak.Array([[], []])).counts.tolist() == [0, 0]


def event_with_candidates():
    """Two events with jets of 19, 60, 25 and of 40, 10 GeV; each candidate knows its jet."""
    return {
        "Jet_pt": ak.Array([[19.0, 60.0, 25.0], [40.0, 10.0]]),
        "Cand_pt": ak.Array([[18.0, 50.0, 9.0, 24.0, 3.0], [39.0, 8.0]]),
        "Cand_jetIdx": ak.Array([[0, 1, 1, 2, -1], [0, 1]]),
    }


def candidates_config(**more):
    values = {
        "inputs": {
            "jets": {"length": 4, "vars": ["Jet_pt", "jets_original_index"]},
            "cands": {"length": 9, "vars": ["Cand_pt", "cand_jet"]},
        },
        "object_selection": {"jets": "Jet_pt > 20"},
        "new_variables": {"cand_jet": "_reindex(Cand_jetIdx, jets_original_index)"},
        **more,
    }
    return from_mapping(values)


def test_selected_objects_keep_their_place_in_the_file_and_indices_find_them_there():
    conf = candidates_config()
    found, _ = make_table(
        event_with_candidates(), make_plan(conf, "train"), conf, "file.root", "group"
    )
    assert found["Jet_pt"].tolist() == [[60, 25], [40]]
    assert found["jets_original_index"].tolist() == [[1, 2], [0]]
    # the jet of 19 GeV is gone, and so are the jets of its candidate and of that of 10 GeV
    assert found["cand_jet"].tolist() == [[-1, 0, 0, 1, -1], [0, -1]]


def test_a_later_selection_keeps_the_constituents_of_the_jets_that_passed():
    conf = candidates_config(
        object_selection={
            "jets": "Jet_pt > 20",
            "cands": "_reindex(Cand_jetIdx, jets_original_index) >= 0",
        },
        new_variables={
            "cand_jet": "_reindex(Cand_jetIdx, jets_original_index)",
            "jet_of_cand": "Jet_pt[cand_jet]",
        },
        observers=["jet_of_cand", "cands_original_index"],
        selection="ak.num(Jet_pt) > 1",
    )
    found, accounting = make_table(
        event_with_candidates(), make_plan(conf, "predict"), conf, "file.root", "group"
    )
    assert found["Cand_pt"].tolist() == [[50, 9, 24]]
    assert found["jet_of_cand"].tolist() == [[60, 60, 25]]
    assert found["cands_original_index"].tolist() == [[1, 2, 3]]
    assert accounting.objects_dropped == {"jets": 2, "cands": 3}


def test_a_column_under_two_names_is_filtered_under_both_or_refused(tmp_path):
    path = str(tmp_path / "a.parquet")
    ak.to_parquet(ak.Array({"Jets.PT": [[10.0, 30.0]], "Jets.Eta": [[0.1, 0.2]]}), path)
    conf = from_mapping(
        {
            "inputs": {"jets": {"length": 3, "vars": ["Jets.PT", "far"]}},
            "new_variables": {"far": "Jets_PT / ak.sum(Jets_PT, axis=1)", "y": "Eta + 1"},
            "object_selection": {"jets": "Jets_PT > 20"},
            "observers": ["y", "Jets_Eta"],
        }
    )
    with open_reader(path) as reader:
        plan = make_plan(conf, "train")
        found, _ = make_table(read_columns(reader, plan.columns, conf, 0, 1), plan, conf, path, "g")
        assert found["Jets.PT"].tolist() == [[30]]
        assert found["far"].tolist() == [[1]]
        # the last word of its name reads it too, but does not tell its collection
        with pytest.raises(DataError, match=r"'Eta' and 'Jets_Eta' are the same column 'Jets.Eta'"):
            read_columns(reader, make_plan(conf, "predict").columns, conf, 0, 1)


def test_what_was_not_filtered_with_the_others_is_named_where_they_meet():
    more = {"fat_pt": ak.Array([[1.0, 2.0], [], [3.0]])}
    selection = {"object_selection": {"jets": "jet_pt > 20"}}
    hint = r"; 'jet_pt' holds the selected objects of 'jets', 'fat_pt' all objects \(`columns:` of "
    for conf in (
        config(
            new_variables={"jet_pt2": "jet_pt", "far": "jet_pt", "gap": "jet_pt - fat_pt"},
            selection="ak.any(gap > 0, axis=1)",
            **selection,
        ),
        config(selection="ak.any(jet_pt > fat_pt, axis=1)", **selection),
    ):
        with pytest.raises(DataError, match=hint + r"object_selection.jets"):
            selected(conf, **more)
    # a value of the row meets each of its objects, and is not at fault
    conf = config(selection="met + jet_pt + missing", **selection)
    with pytest.raises(DataError) as error:
        selected(conf)
    assert "holds the selected objects" not in str(error.value)
