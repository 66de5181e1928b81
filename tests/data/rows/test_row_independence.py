"""Expressions that look across rows are found on some rows and their halves."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.rows.row_independence import (
    TOLERANCE,
    are_close,
    check_row_independence,
    first_difference,
)
from weaver_tt.errors import DataError

OWN = """
import awkward as ak
import numpy as np

def relative(x):
    return x / ak.max(x, axis=None)

def above_mean(x):
    return x > np.mean(ak.to_numpy(x))

def above_mean_of_all(x):
    return x > np.mean(ak.to_numpy(ak.flatten(x)))

def noise(x):
    return x + np.random.default_rng().normal(size=len(x))

def number_of_row():
    # the file has two hundred rows
    return np.arange(200)

def shifted(x):
    return np.roll(ak.to_numpy(x), 1)

def per_row(x):
    return ak.fill_none(ak.max(x, axis=1), 0)

def missing(x):
    return ak.max(x, axis=1)

def small_network(x):
    # sums over a matrix are rounded in another way for another number of rows
    weights = np.random.default_rng(1).normal(size=(40, 40)).astype("float32")
    inputs = np.repeat(ak.to_numpy(x)[:, None], 40, axis=1).astype("float32")
    return np.tanh(np.tanh(inputs / 30 @ weights) @ weights)[:, 0]

def vectors(x):
    return ak.zip({"sum": x, "pair": ak.combinations(ak.singletons(x), 1)}, depth_limit=1)
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def config(own, **more):
    values = {
        "inputs": {
            "jets": {"length": 3, "vars": ["jet_pt"]},
            "event": {"length": None, "vars": ["met"]},
        },
        **more,
    }
    return from_mapping(values, custom_functions=own)


def columns(rows=200):
    random = np.random.default_rng(0)
    counts = random.integers(0, 4, rows)
    return {
        "jet_pt": ak.unflatten(random.exponential(30, counts.sum()), counts),
        "met": random.exponential(50, rows),
        "is_b": np.arange(rows) % 2,
        "is_c": 1 - np.arange(rows) % 2,
    }


def check(conf, purpose="train", rows=200):
    check_row_independence(columns(rows), make_plan(conf, purpose), conf, "file.root", "group")


ACROSS = "above_mean(met)"
NUMBER = "1 + above_mean(met)"

SECTIONS = {
    "selection": ("train", {"selection": ACROSS}),
    "test_time_selection": ("predict", {"selection": "met > 0", "test_time_selection": ACROSS}),
    "objects of 'jets'": ("train", {"object_selection": {"jets": "relative(jet_pt) > 0.1"}}),
    "objects of 'jets': new variable 'share'": (
        "train",
        {
            "object_selection": {"jets": "share > 0.1"},
            "new_variables": {"share": "relative(jet_pt)"},
        },
    ),
    "new variable 'used'": (
        "train",
        {
            "new_variables": {"used": NUMBER},
            "inputs": {"event": {"length": None, "vars": ["used"]}},
        },
    ),
    "new variable 'inner'": (
        "train",
        {
            "new_variables": {"inner": NUMBER, "outer": "2 * inner"},
            "selection": "outer > 0",
        },
    ),
    "new variable 'watched'": (
        "train",
        {"new_variables": {"watched": NUMBER}, "monitor_variables": ["watched"]},
    ),
    "new variable 'copied'": (
        "predict",
        {"new_variables": {"copied": NUMBER}, "observers": ["copied"]},
    ),
    "new variable 'size'": (
        "train",
        {"new_variables": {"size": NUMBER}, "bucketing": {"var": "size", "bins": [0, 1.5, 3]}},
    ),
    "new variable 'flat'": (
        "train",
        {
            "new_variables": {"flat": NUMBER},
            "weights": {
                "reweight_method": "flat",
                "reweight_vars": {"flat": [0, 1.5, 3]},
                "reweight_classes": ["is_b", "is_c"],
            },
        },
    ),
    "weights.reweight_basewgt": (
        "train",
        {
            "weights": {
                "reweight_method": "flat",
                "reweight_vars": {"met": [0, 100, 1000]},
                "reweight_classes": ["is_b", "is_c"],
                "reweight_basewgt": NUMBER,
            },
        },
    ),
    "weights.weight_branches": (
        "train",
        {"weights": {"use_precomputed_weights": True, "weight_branches": [NUMBER]}},
    ),
    "event_weight": ("train", {"event_weight": NUMBER}),
    "new variable 'is_low'": (
        "train",
        {
            "new_variables": {"is_low": f"1 - {ACROSS}", "is_high": "1 - is_low"},
            "labels": {"type": "simple", "value": ["is_low", "is_high"]},
        },
    ),
    "labels.y": ("train", {"labels": {"type": "custom", "value": {"y": NUMBER}}}),
    "labels.of_jet": (
        "predict",
        {
            "labels": {
                "type": "per_object",
                "group": "jets",
                "value": {"of_jet": "relative(jet_pt)"},
            }
        },
    ),
}


@pytest.mark.parametrize("place", SECTIONS)
def test_an_expression_of_any_section_that_looks_across_rows_is_named(own, place):
    purpose, sections = SECTIONS[place]
    expected = place.replace("test_time_selection", "selection")
    with pytest.raises(DataError, match="depends on the other rows, or on random numbers") as found:
        check(config(own, **sections), purpose)
    assert f": {expected}" in str(found.value)
    assert "above_mean(met)" in str(found.value) or "relative(jet_pt)" in str(found.value)


@pytest.mark.parametrize("source", ["noise(met)", "number_of_row()", "shifted(met)"])
def test_random_numbers_places_and_shifts_are_found(own, source):
    with pytest.raises(DataError, match=r"depends on the other rows|expected one entry for each"):
        check(config(own, event_weight=source))


@pytest.mark.parametrize(
    "source",
    ["per_row(jet_pt)", "missing(jet_pt)", "small_network(met)", "vectors(met)", "7", "met"],
)
def test_what_looks_at_one_row_at_a_time_is_allowed_whatever_its_type(own, source):
    check(config(own, new_variables={"x": source}, monitor_variables=["x"]))


def test_one_row_and_no_selected_row_say_nothing(own):
    check(config(own, event_weight=ACROSS), rows=1)
    check(config(own, event_weight=ACROSS, selection="met < 0"))


def test_the_message_gives_the_row_with_both_values(own):
    raw = {
        "met": np.array([4.0, 1.0, 2.0, 2.0]),
        "jet_pt": ak.Array([[10.0], [], [5.0, 20.0], []]),
    }
    conf = config(own, new_variables={"y": "relative(jet_pt)"}, monitor_variables=["y"])
    # of all four rows the largest is 20, of the first two 10
    message = (
        r"entry 0 of one row it is 0.5 where 4 rows are read together, and 1 where 2 are; .*own"
    )
    with pytest.raises(DataError, match=message):
        check_row_independence(raw, make_plan(conf, "train"), conf, "file.root", "group")


def test_the_message_gives_the_object_that_differs_and_a_selection_once(own):
    raw = {
        "met": np.array([4.0, 3.0, 8.0, 8.0]),
        "jet_pt": ak.Array([[9.0, 8.0, 1.0, 5.5], [2.0, 4.5], [8.0], [8.0]]),
    }
    # the mean of all is 5.75, that of the first two rows 5
    conf = config(own, object_selection={"jets": "above_mean_of_all(jet_pt)"})
    message = "objects of 'jets': .*: entry 3 of one row it is False where 4 .* True where 2"
    with pytest.raises(DataError, match=message):
        check_row_independence(raw, make_plan(conf, "train"), conf, "file.root", "group")
    # 5.75 and 3.5
    conf = config(own, selection="above_mean(met)")
    with pytest.raises(DataError, match="selection") as found:
        check_row_independence(raw, make_plan(conf, "train"), conf, "file.root", "group")
    assert str(found.value).count("above_mean(met)") == 1


def test_numbers_are_equal_within_the_rounding_of_sums_and_nan_is_equal_to_nan():
    left = np.array([1.0, 1.0, 0.0, np.nan, np.inf, 1e30])
    right = np.array([1 + TOLERANCE / 2, 1 + 2 * TOLERANCE, TOLERANCE / 2, np.nan, np.inf, np.inf])
    # the third beside a typical size of 1; the sentinel at the end sets no scale
    assert are_close(left, right).tolist() == [True, False, True, True, True, False]
    assert are_close(np.array([1, 2]), np.array([1, 3])).tolist() == [True, False]


def test_the_first_row_that_differs_is_found_in_columns_of_any_kind():
    jagged = ak.Array([[1.0], [], [2.0, 3.0]])
    for left, right, row in (
        (jagged, jagged, None),
        (jagged, ak.Array([[1.0], [], [2.0, 4.0]]), 2),
        (jagged, ak.Array([[1.0], [0.0], [2.0, 3.0]]), 1),
        (np.array([1, 2]), np.array([1.0, 2.0]), None),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]]), 1),
        (ak.Array(["a", "b"]), ak.Array(["a", "c"]), 1),
        (ak.Array([[[1.0]], [[2.0]]]), ak.Array([[[1.0]], [[2.5]]]), 1),
        (ak.Array([{"x": 1.0}, {"x": 2.0}]), ak.Array([{"x": 1.0}, {"x": np.nan}]), 1),
        (ak.Array([None, 1.0]), ak.Array([np.nan, 1.0]), None),
        (ak.Array([None, [1.0]]), ak.Array([[], [1.0]]), 0),
    ):
        assert first_difference(left, right) == row


def test_rows_that_their_group_selects_are_looked_at(own):
    conf = config(
        own,
        file_magic={"is_data": {"group:": 1}},
        selection="is_data == 1",
        new_variables={"used": NUMBER},
        monitor_variables=["used"],
    )
    with pytest.raises(DataError, match="new variable 'used'"):
        check(conf)
