"""Targets that cannot be learnt are refused with the row that shows it."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.rows.labels import row_labels
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.errors import DataError


def regression(value, **targets):
    task = {"name": "regression", "targets": targets}
    inputs = {"event": {"length": None, "vars": ["pt"]}}
    labels = {"type": "custom", "value": value}
    return from_mapping({"inputs": inputs, "labels": labels, "task": task})


def labels_of(config, purpose="train", **table):
    columns = {name: np.array(values) for name, values in table.items()}
    return row_labels(columns, config, make_plan(config, purpose), "f.root")


@pytest.mark.parametrize("pt", [0.0, -3.0, np.nan])
def test_the_logarithm_of_a_momentum_that_is_none_is_an_error_with_its_row(pt):
    config = regression({"y": "np.log(gen_pt / jet_pt)", "m": "jet_pt"})
    message = (
        r"f\.root: label 'y': the logarithm in 'np\.log\(gen_pt / jet_pt\)' needs numbers above 0: "
        rf"1 of 2 selected rows.*row 1: gen_pt = {pt:g}, jet_pt = 20\)"
    )
    with np.errstate(all="ignore"), pytest.raises(DataError, match=message):
        labels_of(config, gen_pt=[30.0, pt], jet_pt=[20.0, 20.0])
    # in a prediction it is a gap like any other
    found, counts = labels_of(config, "predict", gen_pt=[30.0, pt], jet_pt=[20.0, 20.0])
    assert np.isnan(found["y"][1])
    assert counts.undefined == {"y": 1}


def test_a_mask_says_where_a_logarithm_does_not_matter():
    masked = regression({"y": "np.log(pt)", "y_mask": "pt > 0"})
    found, _ = labels_of(masked, pt=[1.0, -1.0])
    assert found["y_mask"].tolist() == [1.0, 0.0]
    # and what is unknown without a logarithm is counted
    _, counts = labels_of(regression({"y": "np.log(pt) + x"}), pt=[1.0], x=[np.nan])
    assert counts.undefined == {"y": 1}


def test_a_logarithm_inside_of_a_new_variable_is_found():
    values = {
        "inputs": {"event": {"length": None, "vars": ["pt"]}},
        "labels": {"type": "custom", "value": {"y": "2 * log_pt"}},
        "new_variables": {"log_pt": "np.log(pt)"},
    }
    table = {"log_pt": [0.0, -np.inf], "pt": [1.0, 0.0]}
    with pytest.raises(DataError, match=r"logarithm in 'np\.log\(pt\)'.*row 1: pt = 0"):
        labels_of(from_mapping(values), **table)


def test_a_target_without_an_image_under_its_transform_is_an_error_where_it_is_learnt():
    ratio = regression({"m": "mass", "m_mask": "known"}, m={"transform": [{"ratio": "pt"}, "log"]})
    table = {"mass": [1.0, -1.0, 2.0], "pt": [1.0, 1.0, 0.0]}
    message = (
        r"f\.root: label 'm': transform ratio needs 'pt' above 0: 1 of 3.*row 2: m = 2, pt = 0"
    )
    with pytest.raises(DataError, match=message):
        labels_of(ratio, **table, known=[1, 0, 1])
    message = r"transform log needs numbers above 0: 1 of 3.*row 1: m = -1, pt = 1\)"
    with pytest.raises(DataError, match=message):
        labels_of(ratio, **table, known=[1, 1, 0])
    # masked, or in a prediction, it may be anything
    found, _ = labels_of(ratio, **table, known=[1, 0, 0])
    assert found["m"].tolist() == [1.0, -1.0, 2.0]
    labels_of(ratio, "predict", **table, known=[1, 1, 1])


def test_a_target_outside_of_its_window_needs_no_image():
    windowed = regression({"m": "mass"}, m={"transform": "log", "valid": "m > 0"})
    found, _ = labels_of(windowed, mass=[1.0, -1.0], m=[1.0, -1.0])
    assert found["m_valid"].tolist() == [1.0, 0.0]


def of_jets(value, **targets):
    task = {"name": "regression", "targets": targets}
    inputs = {"jets": {"length": 2, "vars": [["pt", None]]}}
    labels = {"type": "per_object", "value": value}
    return from_mapping({"inputs": inputs, "labels": labels, "task": task})


def rows_of(config, purpose="train", **table):
    columns = {name: ak.Array(values) for name, values in table.items()}
    return to_rows(columns, config, make_plan(config, purpose), "f.root", row_numbers=ROWS)


ROWS = np.array([4, 9])


def test_a_logarithm_of_objects_is_an_error_with_the_row_of_the_first():
    config = of_jets({"y": "np.log(gen_pt / scale)"})
    message = (
        r"f\.root: label 'y': the logarithm in 'np\.log\(gen_pt / scale\)' needs numbers above 0: "
        r"1 of 3 selected objects have others \(the first is in row 9: gen_pt = -3, scale = 5\)"
    )
    # the third jet of a row is beyond the length
    table = {"pt": [[1.0, 1.0, 1.0], [1.0]], "scale": [2.0, 5.0]}
    with np.errstate(all="ignore"), pytest.raises(DataError, match=message):
        rows_of(config, gen_pt=[[1.0, 2.0, -1.0], [-3.0]], **table)
    with np.errstate(all="ignore"):
        found, counts = rows_of(config, "predict", gen_pt=[[1.0, 2.0, -1.0], [-3.0]], **table)
    assert np.isnan(found.object_labels["jets"][2, 0])
    assert counts.undefined == {"y": 1}


def test_objects_outside_of_a_window_or_masked_may_be_without_a_logarithm():
    value = {"y": "gen_pt", "y_mask": "gen_pt > -2"}
    config = of_jets(value, y={"transform": "log", "valid": "gen_pt > 0"})
    found, _ = rows_of(config, gen_pt=[[1.0, -1.0], [-3.0]], pt=[[1.0, 1.0], [1.0]])
    # the label, its mask, its window
    assert found.object_labels["jets"].tolist() == [[1, 1, 1], [-1, 1, 0], [-3, 0, 0]]
    batch = Padder(config)(found)
    assert batch.undefined["y"] == 2
    assert batch.labels["y_valid"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    with pytest.raises(DataError, match=r"transform log needs .*2 of 3 selected objects.*in row 4"):
        rows_of(
            of_jets({"y": "gen_pt"}, y={"transform": "log"}),
            gen_pt=[[1.0, -1.0], [-3.0]],
            pt=[[1.0, 1.0], [1.0]],
        )


def test_the_mask_of_objects_says_where_a_logarithm_does_not_matter():
    config = of_jets({"y": "np.log(gen_pt)", "y_mask": "gen_pt > 0"})
    with np.errstate(all="ignore"):
        found, counts = rows_of(config, gen_pt=[[1.0, -1.0], [-3.0]], pt=[[1.0, 1.0], [1.0]])
    assert found.object_labels["jets"][:, 1].tolist() == [1, 0, 0]
    # what is masked is not missed
    assert not counts.undefined
    assert Padder(config)(found).undefined["y"] == 2
