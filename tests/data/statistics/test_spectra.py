"""Bins of rows beside numpy's, spectra filled in pieces, and rows that must not be."""

from collections import Counter

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping
from weaver_tt.data.rows.table import row_numbers
from weaver_tt.data.statistics import spectra as spectra_module
from weaver_tt.data.statistics.spectra import OUTSIDE, Spectra, bin_indices, bin_rows
from weaver_tt.errors import DataError

EDGES = (0.0, 1.0, 2.5, 4.0)


def config(**changes):
    weights = {
        "reweight_method": "flat",
        "reweight_vars": {"x": list(EDGES), "y": [0, 1, 2]},
        "reweight_classes": ["a", "b"],
        **changes,
    }
    return from_mapping(
        {"inputs": {"e": {"length": None, "vars": ["x"]}}, "weights": weights}, "x.yaml"
    )


def table(rows: int, seed: int = 1):
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, rows)
    return {
        "x": random.normal(2, 2, rows),
        "y": random.uniform(-0.5, 2.5, rows),
        "a": kind == 0,
        "b": kind == 1,
        "g": random.exponential(1, rows),
    }


@given(
    st.lists(
        st.one_of(st.sampled_from(EDGES), st.floats(-2, 6), st.sampled_from([np.inf, -np.inf])),
        min_size=1,
    )
)
def test_rows_fall_into_the_bins_of_numpys_histogram(values):
    values = np.array(values)
    found = bin_indices(values, EDGES, clip=False)
    assert (
        np.bincount(found[found != OUTSIDE], minlength=3).tolist()
        == np.histogram(values, EDGES)[0].tolist()
    )
    clipped = bin_indices(values, EDGES, clip=True)
    assert (
        np.bincount(clipped, minlength=3).tolist()
        == np.histogram(np.clip(values, 0, 4), EDGES)[0].tolist()
    )


def test_nan_is_outside_whatever_the_rule():
    assert bin_indices(np.array([np.nan, 1.0]), EDGES, clip=True).tolist() == [OUTSIDE, 1]
    assert bin_indices(np.array([np.nan, 1.0]), EDGES, clip=False).tolist() == [OUTSIDE, 1]


def test_spectra_filled_in_pieces_are_numpys_of_all_rows():
    full, own = table(500), config(reweight_basewgt="g")
    spectra = Spectra(own.weights)
    for first in range(0, 500, 120):
        spectra.add(
            bin_rows(
                {name: values[first : first + 120] for name, values in full.items()},
                own.weights,
                own,
                "f",
            )
        )
    for name in "ab":
        chosen = full[name]
        expected = np.histogram2d(
            full["x"][chosen], full["y"][chosen], [EDGES, [0, 1, 2]], weights=full["g"][chosen]
        )[0]
        np.testing.assert_allclose(spectra.values[name], expected)
        assert spectra.of_class[name] == chosen.sum()
        assert (
            spectra.inside[name]
            == np.histogram2d(full["x"][chosen], full["y"][chosen], [EDGES, [0, 1, 2]])[0].sum()
        )
    assert spectra.rows == 500


def test_weights_of_rows_are_entries_of_their_class_and_bin_times_their_base_weight():
    own = config(reweight_basewgt="g")
    rows = {
        "x": np.array([0.5, 3.0, 9.0, 0.5]),
        "y": np.array([1.5, 0.5, 0.5, 0.5]),
        "a": [1, 0, 1, 0],
        "b": [0, 1, 0, 0],
        "g": np.arange(1.0, 5.0),
    }
    spectra = Spectra(own.weights)
    spectra.add(
        bin_rows({name: np.asarray(values) for name, values in rows.items()}, own.weights, own, "f")
    )
    tables = np.arange(12.0).reshape(2, 3, 2)
    assert spectra.row_weights(tables).tolist() == [1 * 1, 10 * 2, 0, 0]


def test_classes_that_share_rows_are_an_error_with_counts():
    rows = table(50)
    rows["b"] = rows["b"] | (np.arange(50) < 20) & rows["a"]
    shared = int(rows["a"][:20].sum())
    with pytest.raises(
        DataError,
        match=rf"x.yaml: weights.reweight_classes \(f\): {shared} of 50 selected rows "
        r"are of several classes \(a and b\)",
    ):
        bin_rows(rows, config().weights, config(), "f")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (ak.Array([[1.0], [], [2.0, 3.0]]), "it has one for each object"),
        (ak.Array(["a", "b", "c"]), "its type is 3 \\* string"),
    ],
)
def test_a_variable_that_is_not_one_number_a_row_is_named(values, message):
    rows = {"x": values, "y": np.ones(3), "a": np.ones(3), "b": np.zeros(3)}
    with pytest.raises(
        DataError,
        match=f"f: weights.reweight_vars: 'x': expected one number for each row, but {message}",
    ):
        bin_rows(rows, config().weights, config(), "f")
    assert row_numbers(np.array([True, False]), "f").tolist() == [1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_base_weights_must_be_finite(bad):
    rows = table(4) | {"g": np.array([1, bad, 1, 1])}
    own = config(reweight_basewgt="g")
    with pytest.raises(
        DataError, match=r"f: weights\.reweight_basewgt 'g' is not finite in 1 of 4 selected rows"
    ):
        bin_rows(rows, own.weights, own, "f")


def test_counts_of_classes_add_up():
    spectra = Spectra(config().weights)
    spectra.add(bin_rows(table(30), config().weights, config(), "f"))
    assert spectra.of_class == Counter({name: int(table(30)[name].sum()) for name in "ab"})


def test_a_row_is_of_a_class_where_its_column_is_1_and_not_where_it_is_2():
    rows = {"x": np.ones(3), "y": np.ones(3), "a": np.array([1, 2, 0]), "b": np.array([0, 0, 1])}
    own = config()
    assert bin_rows(rows, own.weights, own, "f").label.tolist() == [0, OUTSIDE, 1]


def test_of_many_rows_the_cells_and_base_weights_of_the_same_ones_are_kept(monkeypatch):
    monkeypatch.setattr(spectra_module, "SAMPLE_ROWS", 10)
    own = config(reweight_basewgt="g")
    rows = table(2000)
    # a row's base weight tells its cell: x and y bins are 0, 1, 2 and 0, 1
    rows["a"] = np.ones(2000)
    rows["b"] = np.zeros(2000)
    rows["x"] = np.repeat([0.5, 1.5, 3.0, 3.0], 500)
    rows["y"] = np.repeat([0.5, 1.5], 1000)
    rows["g"] = np.repeat([1.0, 2.0, 4.0, 4.0], 500)
    spectra = Spectra(own.weights)
    for first in range(0, 2000, 150):
        part = {name: values[first : first + 150] for name, values in rows.items()}
        spectra.add(bin_rows(part, own.weights, own, "f"))
    # cells (0, 0), (1, 0) and (2, 1) of class a have the inverse of their base weight
    tables = np.zeros((2, 3, 2))
    tables[0, 0, 0] = 1.0
    tables[0, 1, 0] = 0.5
    tables[0, 2, 1] = 0.25
    assert spectra.row_weights(tables).tolist() == [1.0] * 10


@pytest.mark.parametrize("choice", [{"mode": "loss"}, {"signed": True}])
def test_base_weights_may_be_negative_where_they_weigh_the_loss_or_are_meant_to(choice):
    rows = table(4) | {"g": np.array([1.0, -1.0, 0.0, 1.0])}
    own = config(reweight_basewgt="g", **choice)
    assert bin_rows(rows, own.weights, own, "f").base.tolist() == [1, -1, 0, 1]
    own = config(reweight_basewgt="g")
    with pytest.raises(
        DataError, match=r"'g' is negative in 1 of 4 .* use `mode: loss`, or `signed: true`"
    ):
        bin_rows(rows, own.weights, own, "f")


def test_without_classes_all_rows_are_of_one():
    own = config(reweight_classes=None)
    rows = {"x": np.array([0.5, 3.0, np.nan]), "y": np.array([0.5, 1.5, 0.5])}
    binned = bin_rows(rows, own.weights, own, "f")
    assert binned.label.tolist() == [0, 0, 0]
    assert binned.inside.tolist() == [True, True, False]
