"""What the training data says of real targets."""

import dataclasses

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.statistics.targets import (
    TargetsAccumulator,
    provisional_targets,
    with_fitted_targets,
)
from weaver_tt.errors import DataError


def config(targets=None, **labels):
    values = {"inputs": {"event": {"length": None, "vars": [["x", None]]}}}
    values["labels"] = {"type": "custom", "value": labels or {"y": "y"}}
    values["task"] = {"name": "regression", "targets": targets or {}}
    return from_mapping(values, "d.yaml")


def fitted(configuration, *tables):
    accumulator = TargetsAccumulator(configuration)
    for table in tables:
        accumulator.add(table, len(next(iter(table.values()))), "file.root")
    return accumulator.result()


def test_mean_and_deviation_are_those_of_all_rows_in_whatever_parts_they_come():
    # far from 0: a sum of squares would lose all digits
    values = 1e6 + np.random.default_rng(1).normal(size=1000)
    parts = np.split(values, [10, 11, 700])
    found = fitted(config({"y": {"transform": "standardised"}}), *({"y": part} for part in parts))
    [step] = found["y"].transform
    single = values.astype(np.float32).astype(np.float64)
    assert step.mean == pytest.approx(single.mean(), rel=1e-12)
    assert step.deviation == pytest.approx(single.std(), rel=1e-6)
    assert step.fingerprint


def test_numbers_are_those_of_what_comes_before_in_the_chain():
    targets = {"y": {"transform": [{"ratio": "pt"}, "log", "standardised"]}}
    table = {"y": np.array([10.0, 20.0 * np.e**2]), "pt": np.array([10.0, 20.0])}
    step = fitted(config(targets), table)["y"].transform[-1]
    assert (step.mean, step.deviation) == (pytest.approx(1.0), pytest.approx(1.0))


def test_rows_that_are_unknown_masked_or_outside_of_the_window_do_not_count():
    labels = {"y": "y", "y_mask": "known"}
    targets = {"y": {"transform": "standardised", "valid": "y < 50"}}
    table = {
        "y": np.array([1.0, 3.0, np.nan, 7.0, 99.0]),
        "known": np.array([1, 1, 1, 0, 1]),
    }
    [step] = fitted(config(targets, **labels), table)["y"].transform
    assert (step.mean, step.deviation) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3.5, 3.5, np.nan], r"d\.yaml: labels\.y: it is 3\.5 in all 2 training rows"),
        ([np.nan, np.inf], r"labels\.y: none of 2 training rows has a value that counts"),
    ],
)
def test_a_target_that_says_nothing_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        fitted(config(), {"y": np.array(values)})


def test_a_single_row_may_have_any_value():
    assert fitted(config(), {"y": np.array([3.5])}) == {}
    with pytest.raises(DataError, match="no row of the training data passes"):
        TargetsAccumulator(config()).result()


def test_values_without_an_image_are_refused_with_their_row():
    targets = {"y": {"transform": [{"ratio": "pt"}, "log"]}}
    table = {"y": np.array([1.0, -2.0]), "pt": np.array([1.0, 1.0])}
    message = r"file\.root: label 'y': transform log needs numbers above 0: 1 of 2.*row 1: y = -2"
    with pytest.raises(DataError, match=message):
        fitted(config(targets), table)
    table = {"y": np.array([1.0, 2.0]), "pt": np.array([1.0, 0.0])}
    with pytest.raises(DataError, match=r"ratio needs 'pt' above 0.*row 1: y = 2, pt = 0"):
        fitted(config(targets), table)


def test_numbers_of_an_earlier_run_are_used_while_they_are_up_to_date():
    standardised = config({"y": {"transform": "standardised"}})
    found = fitted(standardised, {"y": np.array([1.0, 3.0])})
    old = dataclasses.replace(standardised, targets=found)
    accumulator = TargetsAccumulator(standardised)
    assert accumulator.find_fitted(old, "net.auto.yaml") == found
    # of another expression
    other = TargetsAccumulator(config({"y": {"transform": "standardised"}}, y="2 * y"))
    assert other.find_fitted(old, "net.auto.yaml") is None
    assert other.find_fitted(old, "net.auto.yaml", keep=True) == found
    # nothing is kept of targets as they are: they are looked at again
    assert TargetsAccumulator(config()).find_fitted(config(), "net.auto.yaml") is None


def test_numbers_given_by_hand_stay():
    given = {"y": {"transform": {"standardised": {"mean": 5, "deviation": 2}}}}
    targets = config(given).targets
    assert not config(given).needs_target_statistics
    assert with_fitted_targets(targets, {}) == targets


def test_a_tryout_has_numbers_of_the_first_rows():
    standardised = config({"y": {"transform": "standardised"}})
    provisional = provisional_targets(standardised, [{"y": np.array([1.0, 3.0])}])
    assert not provisional.needs_target_statistics
    assert provisional.targets["y"].transform[0].mean == 2.0
    # where they say nothing, it goes on
    empty = provisional_targets(standardised, [{"y": np.array([np.nan])}])
    assert empty.targets["y"].transform[0].deviation == 1.0


def of_jets(targets=None, **more):
    values = {"inputs": {"jets": {"length": 2, "vars": [["pt", None]]}}}
    values["labels"] = {"type": "per_object", "value": {"y": "gen_pt", "y_mask": "gen_pt > 0"}}
    values["task"] = {"name": "regression", "targets": targets or {}}
    return from_mapping(values | more, "d.yaml")


def jets(*rows):
    return {"pt": ak.Array(rows) * 0 + 1, "gen_pt": ak.Array(rows)}


def test_objects_that_are_kept_known_and_inside_of_the_window_count():
    configuration = of_jets({"y": {"transform": "standardised", "valid": "gen_pt < 50"}})
    # of three jets two are kept; one is not matched, another too hard
    table = jets([1.0, -1.0, 7.0], [], [99.0, 3.0])
    [step] = fitted(configuration, table)["y"].transform
    assert (step.mean, step.deviation) == (2.0, 1.0)
    assert provisional_targets(configuration, [table]).targets["y"].transform[0].mean == 2.0


def test_objects_that_are_all_alike_are_refused():
    with pytest.raises(DataError, match=r"labels\.y: it is 4 in all 2 training objects where"):
        fitted(of_jets(), jets([4.0, -1.0], [4.0]))
    with pytest.raises(DataError, match=r"labels\.y: none of 3 training objects has a value"):
        fitted(of_jets(), jets([-4.0, -1.0], [-4.0]))
