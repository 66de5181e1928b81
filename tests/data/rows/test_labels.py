"""Targets are checked where they are made."""

from __future__ import annotations

import logging
import math
from collections import Counter

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import NO_CLASS
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.labels import (
    ANY_LABELS,
    CLASS_LABEL,
    WantedLabels,
    check_class_variety,
    class_columns,
    count_binary_targets,
    object_labels,
    row_labels,
    warn_of_empty_classes,
    whole_numbers_below,
)
from weaver_tt.errors import ConfigError, DataError


def config(labels):
    return from_mapping({"inputs": {"jets": {"length": 2, "vars": ["pt"]}}, "labels": labels})


SIMPLE = {"type": "simple", "value": ["a", "b"]}
OBJECTS = {"type": "per_object", "group": "jets", "value": {"tag": "tag"}}
TAGS = WantedLabels(binary=frozenset({"tag"}))


def test_a_class_is_the_one_column_that_is_set():
    found, counts = row_labels(
        {"a": np.array([1, 0, 0]), "b": np.array([False, True, True])},
        config(SIMPLE),
        make_plan(config(SIMPLE), "train"),
        "f",
    )
    assert found[CLASS_LABEL].tolist() == [0, 1, 1]
    assert counts.targets == {"a": 1, "b": 2}


def test_rows_of_no_class_or_several_are_counted_in_the_error():
    table = {"a": np.array([1, 0, 0, 2]), "b": np.array([1, 0, 0, 1])}
    message = (
        r"f.root.*of 4 selected rows, 2 belong to no class, 1 belong to several, "
        "1 have a value other than"
    )
    with pytest.raises(DataError, match=message):
        row_labels(table, config(SIMPLE), make_plan(config(SIMPLE), "train"), "f.root")


def test_prediction_goes_on_without_classes():
    predicting = make_plan(config(SIMPLE), "predict")
    assert row_labels({"a": np.array([1.0])}, config(SIMPLE), predicting, "f")[0] == {}


def test_a_row_of_no_class_or_of_several_stays_so_in_prediction_and_is_counted():
    conf = config(SIMPLE)
    plan = make_plan(conf, "predict")
    # no class, a, both, half of one, b
    table = {"a": np.array([0, 1, 1, 0.5, 0]), "b": np.array([0, 0, 1, 0, 1])}
    numbers = np.array([3, 4, 8, 9, 11])
    found, counts = row_labels(table, conf, plan, "ww.root", row_numbers=numbers)
    assert found == {CLASS_LABEL: pytest.approx([NO_CLASS, 0, NO_CLASS, NO_CLASS, 1])}
    assert counts.targets == {"a": 1, "b": 1}
    assert counts.describe_places("undefined") == [
        "class (none or several) 3 (first: ww.root, row 3)"
    ]
    # what is written is what the data say
    written = class_columns(table, conf, plan, "ww.root")
    assert {name: values.tolist() for name, values in written.items()} == {
        "a": [0.0, 1.0, 1.0, 0.5, 0.0],
        "b": [0.0, 0.0, 1.0, 0.0, 1.0],
    }
    assert {values.dtype for values in written.values()} == {np.dtype("float32")}
    assert class_columns({"a": table["a"]}, conf, plan, "f") == {}
    assert class_columns(table, conf, make_plan(conf, "train"), "f") == {}


def test_the_error_about_rows_of_no_class_names_the_first_of_them():
    conf = config(SIMPLE)
    table = {"a": np.array([1, 0, 1]), "b": np.array([0, 0, 1])}
    with pytest.raises(DataError, match=r"1 belong to several \(the first is row 70\)"):
        row_labels(table, conf, make_plan(conf, "train"), "f", row_numbers=np.array([5, 70, 71]))


@pytest.mark.parametrize("purpose", ["train", "predict"])
def test_targets_that_are_not_finite_are_undefined_and_counted_unless_masked(purpose):
    value = {"mass": "m", "mass_mask": "m_known", "energy": "e"}
    conf = config({"type": "custom", "value": value})
    table = {
        "m": np.array([1.0, np.nan, np.nan, np.inf]),
        "m_known": np.array([1.0, 0.0, 1.0, np.nan]),
        # beyond the range of float32
        "e": np.array([1e300, 2.0, 3.0, 4.0]),
    }
    numbers = np.array([10, 20, 30, 40])
    found, counts = row_labels(table, conf, make_plan(conf, purpose), "f.root", row_numbers=numbers)
    nan = math.nan
    np.testing.assert_equal(found["mass"], np.float32([1, nan, nan, nan]))
    # an unknown mask counts as off
    assert found["mass_mask"].tolist() == [1.0, 0.0, 1.0, 0.0]
    np.testing.assert_equal(found["energy"], np.float32([nan, 2, 3, 4]))
    assert counts.describe_places("undefined") == [
        "energy 1 (first: f.root, row 10)",
        "mass 2 (first: f.root, row 30)",
        "mass_mask 1 (first: f.root, row 40)",
    ]


def test_a_binary_label_that_is_neither_is_undefined_in_prediction():
    conf = config({"type": "custom", "value": {"good": "g"}})
    wanted = WantedLabels(binary=frozenset({"good"}))
    table = {"g": np.array([1, -1, 0])}
    found, counts = row_labels(table, conf, make_plan(conf, "predict"), "f", wanted)
    np.testing.assert_equal(found["good"], np.float32([1, math.nan, 0]))
    assert counts.undefined == {"good": 1}


def test_custom_labels_are_numbers_per_row():
    conf = config({"type": "custom", "value": {"mass": "2 * m"}})
    assert row_labels({"m": np.array([1, 2])}, conf, make_plan(conf, "train"), "f")[0][
        "mass"
    ].tolist() == [2, 4]
    with pytest.raises(DataError, match=r"label 'mass'.*per_object"):
        row_labels({"m": ak.Array([[1.0], [2.0, 3.0]])}, conf, make_plan(conf, "train"), "f")


def test_a_row_label_that_the_task_wants_binary_is_counted():
    conf = config({"type": "custom", "value": {"good": "g", "mass": "m"}})
    wanted = WantedLabels(binary=frozenset({"good"}))
    plan = make_plan(conf, "train")
    table = {"g": np.array([1, 0, 1]), "m": np.array([5.0, 6.0, 7.0])}
    assert row_labels(table, conf, plan, "f", wanted)[1].targets == {"good = 0": 1, "good = 1": 2}
    assert row_labels(table, conf, plan, "f")[1].targets == {}
    table["g"] = np.array([1, 0, 2])
    assert row_labels(table, conf, plan, "f")[0]["good"].tolist() == [1, 0, 2]
    with pytest.raises(DataError, match=r"'good': 1 of 3 rows are neither 0 nor 1 \(such as 2"):
        row_labels(table, conf, plan, "f", wanted)


def test_a_task_cannot_want_labels_that_the_yaml_does_not_have():
    conf = config([SIMPLE, OBJECTS])
    TAGS.check_names(conf)
    ANY_LABELS.check_names(conf)
    for name in ("tags", "_label_"):
        wanted = WantedLabels(binary=frozenset({name}))
        with pytest.raises(ConfigError, match=f"wants {name!r} to be 0 or 1, .*'?tag'?"):
            wanted.check_names(conf)


def test_object_labels_must_have_one_value_an_object():
    conf = config(OBJECTS)
    assert object_labels({"tag": ak.Array([[1, 0], []])}, conf, make_plan(conf, "train"), "f")[
        "jets"
    ]["tag"].content.tolist() == [1, 0]
    with pytest.raises(DataError, match="label 'tag' is per object"):
        object_labels({"tag": np.array([1, 0])}, conf, make_plan(conf, "train"), "f")


def test_a_tag_is_0_or_1():
    assert count_binary_targets("tag", np.array([1, 0, 1]), "f") == {"tag = 0": 1, "tag = 1": 2}
    with pytest.raises(
        DataError, match=r"f: label 'tag': 2 of 3 objects are neither 0 nor 1 \(such as -1"
    ):
        count_binary_targets("tag", np.array([1, -1, np.nan]), "f")


@pytest.mark.parametrize(
    ("labels", "wanted", "found", "message"),
    [
        (SIMPLE, ANY_LABELS, {"a": 5}, "all 5 training entries are 'a', none is 'b'"),
        (OBJECTS, TAGS, {"tag = 0": 7, "tag = 1": 0}, "all 7 training entries are 'tag = 0'"),
    ],
)
def test_one_class_alone_cannot_be_learnt(labels, wanted, found, message):
    with pytest.raises(DataError, match=message):
        check_class_variety(Accounting(targets=Counter(found)), config(labels), wanted)


@pytest.mark.parametrize(
    ("labels", "wanted", "found"),
    [
        (SIMPLE, ANY_LABELS, {"a": 5, "b": 1}),
        (SIMPLE, ANY_LABELS, {}),
        (OBJECTS, TAGS, {"tag = 0": 1, "tag = 1": 1}),
        (OBJECTS, ANY_LABELS, {"tag = 0": 7}),
        (OBJECTS, TAGS, {}),
        ({"type": "custom", "value": {"y": "m"}}, ANY_LABELS, {}),
    ],
)
def test_variety_is_enough(labels, wanted, found):
    check_class_variety(Accounting(targets=Counter(found)), config(labels), wanted)


def test_a_class_without_rows_is_told(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    labels = {"type": "simple", "value": ["a", "b", "c"]}
    warn_of_empty_classes(
        Accounting(targets=Counter({"a": 2, "c": 1})), config(labels), "validation"
    )
    warn_of_empty_classes(
        Accounting(targets=Counter({"a": 2, "b": 3, "c": 1})), config(labels), "validation"
    )
    warn_of_empty_classes(Accounting(), config(labels), "test")  # data without labels
    assert {message.split(": ", 1)[1] for message in caplog.messages} == {
        "labels: no validation row is of class 'b'"
    }


def test_of_many_classes_without_rows_the_first_ten_are_named(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    labels = {"type": "custom", "value": ["which"], "classes": 188}
    warn_of_empty_classes(Accounting(targets=Counter({"which_0": 2})), config(labels), "validation")
    assert "no validation row is of class 'which_1', 'which_2', " in caplog.text
    assert "'which_10' and 177 more" in caplog.text
    assert "which_11" not in caplog.text


NUMBERED = {"type": "custom", "value": {"truth": "t - 1"}, "classes": ["a", "b", "c"]}


def test_the_number_of_a_class_is_read_and_written_as_it_is():
    conf = config(NUMBERED)
    table = {"t": np.array([1, 3, 2, 3], dtype=np.uint8)}
    found, counts = row_labels(table, conf, make_plan(conf, "train"), "f")
    assert found == {CLASS_LABEL: pytest.approx([0, 2, 1, 2])}
    assert found[CLASS_LABEL].dtype == np.int64
    assert counts.targets == {"a": 1, "b": 1, "c": 2}
    table = {"t": np.array([1.0, 4.0, 0.0, 1.5, np.nan, 3.0])}
    plan = make_plan(conf, "predict")
    found, counts = row_labels(table, conf, plan, "f")
    assert found[CLASS_LABEL].tolist() == [0, *[NO_CLASS] * 4, 2]
    assert counts.undefined == {"class (none or several)": 4}
    np.testing.assert_equal(
        class_columns(table, conf, plan, "f"), {"truth": np.float32([0, 3, -1, 0.5, np.nan, 2])}
    )
    assert row_labels({"x": np.array([1])}, conf, plan, "f")[0] == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 4, 5], r"0 to 2: 2 selected rows have something else, such as 3.* row 8\)"),
        ([1, 2, 3, 1.5], r"1 selected rows have something else, such as 0.5 .* row 9\)"),
        ([np.nan, 1, 2, 3], r"such as nan \(the first is row 6\); .*`task: regression`"),
        ([0, 1, 2, 3], "such as -1"),
    ],
)
def test_a_label_that_is_no_number_of_a_class_is_an_error_in_training(values, message):
    conf = config(NUMBERED)
    plan = make_plan(conf, "train")
    with pytest.raises(DataError, match=f"f.root: label 'truth' is the number .*{message}"):
        row_labels(
            {"t": np.array(values)}, conf, plan, "f.root", row_numbers=np.array([6, 7, 8, 9])
        )


def regression(value, **targets):
    task = {"name": "regression", "targets": targets}
    inputs = {"event": {"length": None, "vars": ["pt"]}}
    labels = {"type": "custom", "value": value}
    return from_mapping({"inputs": inputs, "labels": labels, "task": task})


def labels_of(config, purpose="train", **table):
    columns = {name: np.array(values) for name, values in table.items()}
    return row_labels(columns, config, make_plan(config, purpose), "f.root")


def test_a_window_is_a_label_of_its_own_beside_its_target():
    windowed = regression({"y": "a"}, y={"valid": "abs(a) < near"})
    found, counts = labels_of(windowed, a=[0.5, 2.0, np.nan], near=[1.0, 1.0, 1.0])
    assert found["y"].tolist()[:2] == [0.5, 2.0]
    assert found["y_valid"].tolist() == [1.0, 0.0, 0.0]
    # what lies outside is known
    assert counts.undefined == {"y": 1}
    # a prediction without what the window needs has no target
    without, _ = labels_of(windowed, "predict", a=[0.5])
    assert without == {}


def test_numbers_of_unsigned_types_may_be_of_no_class():
    numbers = np.array([0, 1, 2, 255], np.uint8)
    assert whole_numbers_below(numbers, 2).tolist() == [0, 1, NO_CLASS, NO_CLASS]
