"""Rows drawn by weight: as often as they should be, the same ones whoever draws, counted.

And closing on flat spectra.
"""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import WeightSummary
from weaver_tt.data.chunks import Chunk, Source
from weaver_tt.data.statistics.sampling import Sampler, count_spectra, repeats_per_row
from weaver_tt.data.statistics.spectra import bin_rows
from weaver_tt.errors import ConfigError, DataError

SOURCES = [Source(0, "a", (0, 1000)), Source(0, "b", (0, 1000)), Source(1, "a", (0, 1000))]


def config(mode="sampling", kept=1.0, mean=1.0, **more):
    values = {
        "inputs": {"event": {"length": None, "vars": ["w"]}},
        "weights": {
            "mode": mode,
            "use_precomputed_weights": True,
            "weight_branches": ["w"],
            **more,
        },
    }
    made = from_mapping(values, "x.yaml")
    return replace(
        made, weights=replace(made.weights, summary=WeightSummary(rows=1000, mean=mean, kept=kept))
    )


def sampler(seed=(1, 2, 0), **more):
    return Sampler(config(**more), SOURCES, seed)


def test_the_random_number_of_a_row_does_not_depend_on_the_chunk_it_comes_in():
    whole = sampler().uniform(Chunk(0, "a", 0, 1000))
    pieces = [
        sampler().uniform(Chunk(0, "a", first, last))
        for first, last in [(0, 1), (1, 333), (333, 1000)]
    ]
    assert np.array_equal(np.concatenate(pieces), whole)
    others = [
        sampler().uniform(Chunk(0, "b", 0, 1000)),
        sampler().uniform(Chunk(1, "a", 0, 1000)),
        sampler((1, 3, 0)).uniform(Chunk(0, "a", 0, 1000)),
    ]
    for other in others:
        assert abs(np.corrcoef(whole, other)[0, 1]) < 0.15
        assert np.mean(whole == other) < 0.01


def test_a_row_of_weight_w_comes_w_times_on_average_and_whole_numbers_of_times_exactly():
    table = {"w": np.repeat([0.0, 0.25, 0.5, 1.0, 7.0], 200)}
    drawn = sampler().draw(table, Chunk(0, "a", 0, 1000), np.arange(1000), "g")
    means = drawn.copies.reshape(5, 200).mean(1)
    assert set(drawn.copies.tolist()) == {0, 1}
    assert means[[0, 3, 4]].tolist() == [0, 1, 1]  # a probability is at most 1, as in Weaver
    assert means[1:3] == pytest.approx([0.25, 0.5], abs=4 * 0.5 / np.sqrt(200))
    assert drawn.weight is None
    assert drawn.accounting.sampled_out == {"g": int((drawn.copies == 0).sum())}


def test_few_wanted_rows_are_drawn_again_up_to_ten_times():
    assert [
        repeats_per_row(WeightSummary(rows=1, mean=kept, kept=kept))
        for kept in (1.0, 0.9, 0.5, 0.26, 0.1, 0.001)
    ] == [1, 1, 2, 3, 10, 10]
    drawn = sampler(kept=0.25).draw(
        {"w": np.repeat([0.125, 0.5], 500)}, Chunk(0, "a", 0, 1000), np.arange(1000), "g"
    )
    assert set(drawn.copies[500:].tolist()) == {2}  # 4 x 1/2
    assert set(drawn.copies[:500].tolist()) == {0, 1}
    assert drawn.accounting.repeated == {"g": 500}


def test_a_row_of_negative_weight_comes_as_often_and_counts_minus_1():
    signed = sampler(kept=0.5, signed=True)
    chunk = Chunk(0, "a", 0, 400)
    sizes = np.repeat([0.25, 0.5], 200)
    signs = np.tile([1.0, -1.0], 200)
    drawn = signed.draw({"w": sizes * signs}, chunk, np.arange(400), "g")
    plain = sampler(kept=0.5).draw({"w": sizes}, chunk, np.arange(400), "g")
    assert drawn.copies.tolist() == plain.copies.tolist()
    assert drawn.copies[200:].tolist() == [1] * 200
    assert drawn.weight.tolist() == signs.tolist()
    # rows of another chunk have a weight too, even if none is negative
    assert signed.draw({"w": sizes}, chunk, np.arange(400), "g").weight.tolist() == [1] * 400


def test_a_negative_weight_is_an_error_where_it_is_not_meant():
    with pytest.raises(DataError, match=r"a: weights.weight_branches 'w' is negative in 1 of 2"):
        sampler().draw({"w": np.array([1.0, -0.5])}, Chunk(0, "a", 0, 2), np.arange(2), "g")


def test_loss_weights_have_mean_1_and_rows_without_weight_are_left_out():
    drawn = sampler(mode="loss", mean=2.0).draw(
        {"w": np.array([1.0, 0.0, 5.0, -2.0])}, Chunk(0, "a", 0, 4), np.arange(4), "g"
    )
    assert drawn.copies.tolist() == [1, 0, 1, 1]
    assert drawn.weight.tolist() == [0.5, 0, 2.5, -1]
    assert drawn.accounting.sampled_out == {"g": 1}


def test_weights_that_were_not_prepared_are_an_error():
    own = config()
    with pytest.raises(ConfigError, match=r"x.yaml: weights: nothing has been computed"):
        Sampler(replace(own, weights=replace(own.weights, summary=None)), SOURCES, (0,))


def test_spectra_before_and_after_are_histograms():
    weights = {
        "reweight_method": "flat",
        "reweight_vars": {"x": [0, 1, 2, 4]},
        "reweight_classes": ["a", "b"],
    }
    own = from_mapping(
        {"inputs": {"e": {"length": None, "vars": ["x"]}}, "weights": weights}, "x.yaml"
    )
    random = np.random.default_rng(1)
    x, a, counted = (
        random.uniform(-1, 5, 300),
        random.integers(0, 2, 300),
        random.uniform(0, 2, 300),
    )
    found = count_spectra(
        bin_rows({"x": x, "a": a, "b": 1 - a}, own.weights, own, "f"), counted, own
    )
    for name, chosen in {"a": a == 1, "b": a == 0}.items():
        for what, values in {
            "before": np.ones(300),
            "after": counted,
            "square": counted**2,
        }.items():
            expected = np.histogram(x[chosen], [0, 1, 2, 4], weights=values[chosen])[0]
            assert [found["x", name, what, i] for i in range(3)] == pytest.approx(expected.tolist())


def test_awkward_columns_are_weights_too():
    assert sampler().draw(
        {"w": ak.Array([1.0, 0.0])}, Chunk(0, "a", 0, 2), np.arange(2), "g"
    ).copies.tolist() == [1, 0]


def test_weights_without_tables_are_an_error():
    weights = {
        "reweight_method": "flat",
        "reweight_vars": {"x": [0, 1]},
        "reweight_classes": ["a", "b"],
    }
    own = from_mapping(
        {"inputs": {"e": {"length": None, "vars": ["x"]}}, "weights": weights}, "x.yaml"
    )
    summary = WeightSummary(rows=10, mean=0.5, kept=0.5)
    with pytest.raises(ConfigError, match=r"x.yaml: weights: nothing has been computed"):
        Sampler(replace(own, weights=replace(own.weights, summary=summary)), SOURCES, (0,))


def test_a_selected_row_is_drawn_as_it_would_be_if_all_were_selected():
    chunk = Chunk(0, "a", 0, 1000)
    all_rows = sampler().draw({"w": np.full(1000, 0.5)}, chunk, np.arange(1000), "g")
    selected = np.arange(3, 1000, 7)
    fewer = sampler().draw({"w": np.full(len(selected), 0.5)}, chunk, selected, "g")
    assert fewer.copies.tolist() == all_rows.copies[selected].tolist()


def test_a_row_outside_the_bins_of_one_variable_counts_in_the_spectra_of_the_others():
    weights = {
        "reweight_method": "flat",
        "reweight_vars": {"x": [0, 1, 2], "y": [0, 1]},
        "reweight_classes": ["a", "b"],
    }
    own = from_mapping(
        {"inputs": {"e": {"length": None, "vars": ["x"]}}, "weights": weights}, "x.yaml"
    )
    table = {"x": np.array([1.5, 0.5]), "y": np.array([9.0, 0.5]), "a": np.ones(2)}
    table["b"] = np.zeros(2)
    found = count_spectra(bin_rows(table, own.weights, own, "f"), np.array([3.0, 2.0]), own)
    assert found == {
        ("x", "a", "before", 0): 1,
        ("x", "a", "after", 0): 2,
        ("x", "a", "square", 0): 4,
        ("x", "a", "before", 1): 1,
        ("x", "a", "after", 1): 3,
        ("x", "a", "square", 1): 9,
        ("y", "a", "before", 0): 1,
        ("y", "a", "after", 0): 2,
        ("y", "a", "square", 0): 4,
    }
