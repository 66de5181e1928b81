"""Scaling by hand, cuts at the length, and what does not fit."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import Variable
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.tensors import SCALE_BLOCK, scale_columns, to_rows
from weaver_tt.errors import ConfigError, DataError


def config(**more):
    inputs = {
        "jets": {"length": 2, "vars": [["pt", 10, 0.5], "flavour"]},
        "same": {"length": 2, "vars": ["raw"]},
        "jet_mask": {"length": 2, "pad_mode": "constant", "vars": ["ones"]},
        "event": {"length": None, "vars": [["met", 1, 1], "n"]},
    }
    return from_mapping({"inputs": inputs, **more})


def table(**more):
    pt = ak.Array([[8.0, 100.0, 12.0], [], [np.nan]])
    objects = {
        "pt": pt,
        "raw": more.get("pt", pt),
        "flavour": ak.Array([[5, 4, 0], [], [5]]),
        "ones": ak.ones_like(pt),
    }
    return {**objects, "met": np.array([1.0, np.inf, 3.0]), "n": np.array([3, 0, 1]), **more}


def rows_of(conf=None, purpose="train", wanted=ANY_LABELS, **more):
    conf = conf or config()
    return to_rows(table(**more), conf, make_plan(conf, purpose), "file.root", wanted)


def test_inputs_are_scaled_clipped_and_cut_at_the_length():
    rows, accounting = rows_of()
    jets = rows.objects["jets"]
    assert jets.own.tolist() == [
        [-1, 5],
        [5, 4],
        [-5, 5],
    ]  # (8-10)/2; (100-10)/2 clipped; NaN counts as 0: (0-10)/2
    assert jets.counts.tolist() == [2, 0, 1]
    assert jets.full_counts.tolist() == [3, 0, 1]
    assert rows.objects["same"].own.tolist() == [[8], [100], [0]]
    assert rows.scalars["event"].tolist() == [[0, 3], [-1, 0], [2, 1]]
    assert accounting.truncated == {"jets": 1, "same": 1, "jet_mask": 1}
    assert accounting.nonfinite == {"pt": 1, "raw": 1, "met": 1}
    assert jets.own.dtype == np.float32


def test_a_missing_value_is_counted_as_an_input_and_nan_everywhere_else():
    conf = config(
        inputs={"event": {"length": None, "vars": [["largest", 1, 1, -9, 9]]}},
        labels={"type": "custom", "value": {"y": "ak.max(flavour, axis=1)"}},
        event_weight="ak.fill_none(ak.max(flavour, axis=1), 2)",
        observers=["largest"],
    )
    # the second row has no objects
    missing = {"largest": ak.max(ak.Array([[3.0, 5.0], [], [2.0]]), axis=1)}
    rows, accounting = rows_of(conf, "predict", **missing)
    assert rows.scalars["event"].tolist() == [[4], [-1], [1]]  # the value that 0 would give
    assert accounting.nonfinite["largest"] == 1
    assert np.array_equal(rows.labels["y"], [5, np.nan, 5], equal_nan=True)
    assert rows.weight.tolist() == [5, 2, 5]
    assert np.array_equal(rows.observers["largest"], [5, np.nan, 2], equal_nan=True)
    conf = config(event_weight="ak.max(flavour, axis=1)")
    with pytest.raises(DataError, match="not finite in 1 of 3 selected rows"):
        rows_of(conf)


def test_columns_of_derived_outputs_are_raw_inputs():
    conf = config(
        labels={"type": "custom", "value": {"y": "met / 2"}}, derived_outputs={"x": "y * n + met"}
    )
    rows, accounting = rows_of(conf)
    # met is neither scaled nor clipped; infinity counts as 0, as in any input
    assert rows.scalars["derived_inputs"].tolist() == [[1, 3], [0, 0], [3, 1]]
    assert accounting.nonfinite["met"] == 1
    assert Padder(conf)(rows).inputs["derived_inputs"].tolist() == [[1, 3], [0, 0], [3, 1]]
    conf = config(labels={"type": "custom", "value": ["n"]}, derived_outputs={"x": "n * pt"})
    with pytest.raises(
        DataError, match=r"derived_outputs .* one value a row, but 'pt' has 4 objec"
    ):
        rows_of(conf)


def test_groups_with_the_same_objects_share_counts_and_content():
    rows, _ = rows_of()
    assert rows.objects["jets"].counts is rows.objects["jet_mask"].counts
    assert rows.objects["jets"].content is rows.objects["same"].content


@given(st.integers(0, 3), st.integers(1, 3))
def test_blocks_meet_without_a_seam(blocks, channels):
    values = np.arange(blocks * SCALE_BLOCK + 5, dtype=np.float32)
    variables = [Variable(name="x", center=1.0, scale=2.0, low=-1e9, high=1e9)] * channels
    content = scale_columns([values + i for i in range(channels)], variables)
    assert content.shape == (len(values), channels)
    np.testing.assert_array_equal(
        content, np.stack([(values + i - 1) * 2 for i in range(channels)], axis=1)
    )


def test_fixed_size_arrays_are_objects_too():
    rows, _ = rows_of(
        pt=np.arange(6.0).reshape(3, 2),
        flavour=ak.to_regular(ak.Array([[1, 2]] * 3)),
        ones=np.ones((3, 2), dtype=bool),
    )
    assert rows.objects["jets"].counts.tolist() == [2, 2, 2]
    assert rows.objects["same"].own.ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"pt": np.array([1.0, 2.0, 3.0])},
            r"input group 'jets' has 2 objects a row, "
            r"but its variable 'pt' has one value a row, shape \(3,\)",
        ),
        (
            {"met": ak.Array([[1.0], [], [2.0]])},
            "input group 'event' has no length, but 'met' has 2 objects in 3 rows",
        ),
        (
            {"flavour": ak.Array([[5], [4], [5]])},
            "'flavour' has 1 object in row 0 where 'pt' has 3",
        ),
        ({"pt": ak.Array([["a"], [], ["b"]])}, "its variable 'pt' has type"),
    ],
)
def test_a_column_of_the_wrong_shape_is_named_with_its_group(more, message):
    with pytest.raises(DataError, match="file.root.*" + message):
        rows_of(**more)


def test_auto_without_statistics_is_an_error():
    with pytest.raises(ConfigError, match=r"'met'.*auto"):
        rows_of(
            from_mapping(
                {
                    "preprocess": {"method": "auto"},
                    "inputs": {"event": {"length": None, "vars": ["met"]}},
                }
            )
        )


def test_object_labels_are_cut_with_their_objects():
    conf = config(
        labels={"type": "per_object", "group": "jets", "value": {"tag": "tag", "b": "flavour == 5"}}
    )
    tags = ak.Array([[1, 0, 1], [], [0]])
    rows, accounting = rows_of(conf, tag=tags, wanted=WantedLabels(frozenset({"tag", "b"})))
    assert rows.object_labels["jets"].tolist() == [[1, 1], [0, 0], [0, 1]]
    assert accounting.targets == {"tag = 0": 2, "tag = 1": 1, "b = 0": 1, "b = 1": 2}
    with pytest.raises(DataError, match="label 'tag' has 1 object in row 0 where 'pt' has 3"):
        rows_of(conf, tag=ak.Array([[1], [], [0]]))


def test_a_label_that_was_not_filtered_with_its_objects_gets_the_hint_to_list_its_column():
    selection = {"selection": "pt > 0", "columns": ["pt", "eta", "flavour"]}
    conf = config(
        labels={"type": "per_object", "group": "jets", "value": {"tag": "tag_info > 0"}},
        object_selection={"jets": selection},
    )
    message = r"label 'tag' has 1 object in row 0 where 'pt' has 3; 'pt' holds the selected "
    message += r"objects of 'jets', 'tag_info' all objects \(`columns:` of object_selection.jets"
    with pytest.raises(DataError, match=message):
        rows_of(conf, tag_info=ak.Array([[1], [], [0]]))
    conf = config(
        labels={"type": "custom", "value": {"tag": "ak.sum(pt * tag_info, axis=1)"}},
        object_selection={"jets": selection},
    )
    with pytest.raises(DataError, match="'pt' holds the selected objects of 'jets', 'tag_info' a"):
        rows_of(conf, tag_info=ak.Array([[1], [], [0]]))


def test_object_labels_are_0_or_1_only_where_the_task_wants_that():
    conf = config(labels={"type": "per_object", "group": "jets", "value": {"charge": "q"}})
    charges = ak.Array([[-1, 1, 0], [], [1]])
    rows, accounting = rows_of(conf, q=charges)
    assert rows.object_labels["jets"].tolist() == [[-1], [1], [1]]
    assert accounting.targets == {}
    with pytest.raises(DataError, match=r"'charge': 1 of 3 objects are neither 0 nor 1"):
        rows_of(conf, q=charges, wanted=WantedLabels(frozenset({"charge"})))


def test_event_weights_must_be_finite():
    conf = config(event_weight="w")
    assert rows_of(conf, w=np.array([1, -2, 3]))[0].weight.tolist() == [1, -2, 3]
    with pytest.raises(DataError, match=r"event_weight 'w' is not finite in 2 of 3 selected rows"):
        rows_of(conf, w=np.array([1, np.nan, np.inf]))
    assert rows_of(conf, "predict")[0].weight is None  # data has none


def test_monitored_columns_are_scaled_as_inputs_are():
    rows, _ = rows_of(config(monitor_variables=["met", "extra", "pt"]), extra=np.array([7, 8, 9]))
    assert rows.monitors["met"].tolist() == [0, -1, 2]
    assert rows.monitors["extra"].tolist() == [7, 8, 9]
    assert rows.object_monitors["jets", "pt"].ravel().tolist() == [-1, 5, -5]


def test_observers_are_copied_in_prediction_only():
    conf = config(observers=["pt", "met"])
    assert rows_of(conf)[0].observers == {}
    rows, _ = rows_of(conf, "predict")
    assert rows.observers["pt"].tolist()[0] == [8, 100, 12]
    assert rows.observers["met"].tolist() == [1, np.inf, 3]


def test_values_that_are_not_finite_are_counted_with_their_first_row():
    conf = config(labels={"type": "per_object", "group": "jets", "value": {"charge": "q"}})
    charges = ak.Array([[1.0, np.nan, np.inf], [], [-1.0]])
    columns = table(q=charges)
    plan = make_plan(conf, "predict")
    rows, counts = to_rows(columns, conf, plan, "f.root", row_numbers=np.array([4, 6, 9]))
    # the third object of the first row is beyond the length
    np.testing.assert_equal(rows.object_labels["jets"][:, 0], np.float32([1, np.nan, -1]))
    assert counts.describe_places("undefined") == ["charge 1 (first: f.root, row 4)"]
    assert counts.describe_places("nonfinite") == [
        "met 1 (first: f.root, row 6)",
        "pt 1 (first: f.root, row 9)",
        "raw 1 (first: f.root, row 9)",
    ]


def test_tags_that_are_neither_0_nor_1_are_undefined_in_prediction():
    conf = config(labels={"type": "per_object", "group": "jets", "value": {"tag": "tag"}})
    tags = ak.Array([[1, 2, 0], [], [0]])
    wanted = WantedLabels(frozenset({"tag"}))
    rows, counts = rows_of(conf, "predict", wanted, tag=tags)
    np.testing.assert_equal(rows.object_labels["jets"][:, 0], np.float32([1, np.nan, 0]))
    assert counts.undefined == {"tag": 1}


def test_prediction_copies_the_columns_of_the_classes_as_they_are():
    conf = config(labels={"type": "simple", "value": ["a", "b"]}, observers=["met", "b"])
    flags = {"a": np.array([1, 0, 1]), "b": np.array([0, 0, 1])}
    assert rows_of(conf, "predict", **flags)[0].observers["a"].tolist() == [1.0, 0.0, 1.0]
    # an observer keeps the type of the file
    assert rows_of(conf, "predict", **flags)[0].observers["b"].to_numpy().dtype == np.int64
    with pytest.raises(DataError, match="1 belong to no class, 1 belong to several"):
        rows_of(conf, **flags)
