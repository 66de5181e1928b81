"""Weight tables: those of weaver-core in two variables, by hand bin by bin in any number.

And flat where they say so.
"""

import copy
import itertools
import warnings
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import WeightSummary
from weaver_tt.data.statistics import spectra as spectra_module
from weaver_tt.data.statistics import weight_tables
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.spectra import Spectra, bin_rows
from weaver_tt.data.statistics.weight_tables import (
    WeightSums,
    distance_to,
    make_weight_tables,
    row_weights,
    summarize_weights,
    validate_summary,
)
from weaver_tt.errors import DataError
from weaver_tt.options.train import DataOptions

CLASSES = ["is_a", "is_b", "is_c"]
PT, MASS = [6.125, 6.25, 6.375, 6.5, 6.625, 6.875], [0, 20, 50, 100, 150, 200, 250]


def yaml(**weights):
    common = {
        "use_precomputed_weights": False,
        "reweight_method": "flat",
        "reweight_vars": {"log_pt": PT, "mass": MASS},
        "reweight_classes": CLASSES,
    }
    return {
        "selection": "x > -1",
        "new_variables": {"log_pt": "np.log(pt)"},
        "inputs": {"event": {"length": None, "vars": ["x"]}},
        "labels": {"type": "simple", "value": [*CLASSES, "is_d"]},
        "weights": {**common, **weights},
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """6000 jets of four classes with different spectra."""
    random, rows = np.random.default_rng(3), 6000
    kind = random.integers(0, 4, rows)
    columns = {
        "pt": np.where(
            kind == 0, 500 + random.exponential(100, rows), random.uniform(450, 1100, rows)
        ),
        "mass": np.where(kind == 1, random.normal(170, 20, rows), random.exponential(80, rows)),
        "x": random.normal(0, 1, rows),
        "gen": random.exponential(1, rows),
    }
    table = {name: values.astype(np.float32) for name, values in columns.items()} | {
        f"is_{c}": (kind == i).astype(np.int32) for i, c in enumerate("abcd")
    }
    path = tmp_path_factory.mktemp("jets") / "jets.parquet"
    ak.to_parquet(ak.Array(table), str(path), extensionarray=False, row_group_size=1000)
    return str(path)


def ours(file, tmp_path, values):
    config, _ = fit_statistics(
        from_mapping(values, "x.yaml"),
        str(tmp_path / "net"),
        DataOptions(data_train=[file], train_val_split=1.0),
    )
    return config.weights


def theirs(file, monkeypatch, values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preprocess = pytest.importorskip("weaver.utils.data.preprocess")
        from weaver.utils.data.config import DataConfig

        monkeypatch.setattr(preprocess.time, "sleep", lambda _: None)
        return (
            preprocess.WeightMaker([file], DataConfig(print_info=False, **copy.deepcopy(values)))
            .produce()
            .options["weights"]["reweight_hists"]
        )


@pytest.mark.parametrize(
    ("method", "threshold", "discard", "base"),
    [*itertools.product(["flat", "ref"], [10, 0, 35], [True, False], [None, "gen * 2"])],
)
def test_tables_are_those_of_weaver_core(
    file, tmp_path, monkeypatch, method, threshold, discard, base
):
    values = yaml(
        reweight_method=method,
        reweight_threshold=threshold,
        reweight_discard_under_overflow=discard,
        reweight_basewgt=base,
        class_weights=[1, 2.5, 0.3] if threshold else None,
    )
    found, expected = ours(file, tmp_path, values).tables, theirs(file, monkeypatch, values)
    assert list(found) == list(expected)
    for name in CLASSES:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=0)


def test_weavers_defaults_are_ours(file, tmp_path, monkeypatch):
    found, expected = ours(file, tmp_path, yaml()).tables, theirs(file, monkeypatch, yaml())
    for name in CLASSES:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=0)


def test_the_weights_of_rows_are_those_of_weaver_core(file, tmp_path, monkeypatch):
    values = yaml(reweight_basewgt="gen")
    expected_tables = theirs(file, monkeypatch, values)
    from weaver.utils.data.config import DataConfig
    from weaver.utils.data.preprocess import _build_weights

    table = ak.from_parquet(file)
    table["log_pt"], table["_basewgt_"] = np.log(table["pt"]), table["gen"]
    expected = _build_weights(
        table,
        DataConfig(print_info=False, **copy.deepcopy(values)),
        {k: np.array(v, "float32") for k, v in expected_tables.items()},
    )
    config = from_mapping(values, "x.yaml")
    weights = ours(file, tmp_path, values)
    columns = {name: np.asarray(table[name]) for name in table.fields}
    np.testing.assert_allclose(
        row_weights(columns, bin_rows(columns, weights, config, "f"), weights, "f"),
        expected,
        rtol=2e-6,
    )


def config_of(shape, classes="ab", **more):
    variables = {f"v{i}": list(range(size + 1)) for i, size in enumerate(shape)}
    weights = {
        "reweight_method": "flat",
        "reweight_vars": variables,
        "reweight_classes": list(classes),
        **more,
    }
    return from_mapping(
        {"inputs": {"event": {"length": None, "vars": ["v0"]}}, "weights": weights}, "x.yaml"
    )


def filled(config, counts):
    """Spectra of classes with so many rows in each bin."""
    spectra = Spectra(config.weights)
    cells = [
        (k, *cell)
        for k, table in enumerate(counts)
        for cell in np.ndindex(table.shape)
        for _ in range(table[cell])
    ]
    columns = np.array(cells, dtype=float).T
    table = {f"v{i}": columns[1 + i] + 0.5 for i in range(counts[0].ndim)} | {
        name: columns[0] == k for k, name in enumerate(config.weights.classes)
    }
    spectra.add(bin_rows(table, config.weights, config, "f"))
    return spectra


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(0, 9),
    st.sampled_from([0, 10, 50]),
)
def test_flat_weights_bin_by_bin_in_any_number_of_variables(shape, seed, threshold):
    random = np.random.default_rng(seed)
    counts = [random.integers(1, 9, shape) for _ in "ab"]
    config = config_of(shape, class_weights=[1, 3], reweight_threshold=threshold)
    tables = make_weight_tables(filled(config, counts), "x.yaml")
    kept = []
    for name, table in zip("ab", counts, strict=True):
        wanted = np.percentile(table.ravel(), threshold)
        capped = np.vectorize(lambda count, wanted=wanted: min(1.0, wanted / count))(
            table
        )  # bin by bin
        kept.append((tables[name] * table).sum())
        np.testing.assert_allclose(tables[name] / tables[name].max(), capped / capped.max())
    assert kept[1] == pytest.approx(3 * kept[0])
    assert max(table.max() for table in tables.values()) == pytest.approx(0.9)


def test_flat_weights_by_hand_in_one_variable():
    # threshold 0: the least filled bin, 2, is the height; 2 x 3 and 4 x 2 rows would be left; the
    # classes are made equal, the least times 0.9
    tables = make_weight_tables(
        filled(config_of([3], reweight_threshold=0), [np.array([2, 4, 8]), np.array([4, 0, 4])]),
        "x.yaml",
    )
    assert tables["a"].tolist() == pytest.approx([0.9, 0.45, 0.225])  # 5.4 rows
    assert tables["b"].tolist() == pytest.approx([0.675, 0, 0.675])  # 5.4 rows; of 8


def test_a_bin_with_next_to_nothing_does_not_set_the_height():
    # 1 % of the median of 200, 200 and 1 is 2: the height is 200, and the bin of 1 is kept whole
    spectra = filled(
        config_of([3], reweight_threshold=0), [np.array([200, 200, 1]), np.array([200, 200, 201])]
    )
    tables = make_weight_tables(spectra, "x.yaml")
    assert tables["a"].tolist() == pytest.approx([0.9] * 3)
    # b would keep 600 rows where a keeps 401
    equal = 0.9 * 401 / 600
    assert tables["b"].tolist() == pytest.approx([equal, equal, equal * 200 / 201])


def test_a_class_of_weight_0_keeps_nothing_and_limits_nothing():
    config = config_of([2], reweight_threshold=0, class_weights=[1, 0])
    tables = make_weight_tables(filled(config, [np.array([4, 4]), np.array([1, 1])]), "x.yaml")
    assert tables["a"].tolist() == pytest.approx([0.9, 0.9])
    assert tables["b"].tolist() == [0, 0]


def test_ref_weights_by_hand():
    # b / a is 2, 1 / 2, 0 (empty b): with threshold 0 the largest ratio becomes 1
    spectra = filled(
        config_of([3], reweight_method="ref", reweight_threshold=0),
        [np.array([4, 4, 4]), np.array([2, 8, 0])],
    )
    tables = make_weight_tables(spectra, "x.yaml")
    raw = {"a": np.ones(3), "b": np.array([1, 0.25, 0])}  # keep 12 and 4 rows
    assert tables["b"].tolist() == pytest.approx((0.9 * raw["b"]).tolist())
    assert tables["a"].tolist() == pytest.approx((0.9 * 4 / 12 * raw["a"]).tolist())


def test_target_weights_by_hand_for_each_class():
    # 2 x is to be 1/9, 3/9, 5/9 of each class; in a (2, 3, 5 rows) the ratios to that are 1/18,
    # 1/9, 1/9: half of the first bin is to go. In b (1, 6, 5 rows) half of the second
    config = config_of(
        [3], reweight_method="target", target="2 * v0", reweight_threshold=0, class_weights=[1, 2]
    )
    tables = make_weight_tables(
        filled(config, [np.array([2, 3, 5]), np.array([1, 6, 5])]), "x.yaml"
    )
    # 9 rows are left of both; of b twice as many are wanted, so that b gives 0.9 of them
    assert tables["a"].tolist() == pytest.approx([0.225, 0.45, 0.45])
    assert tables["b"].tolist() == pytest.approx([0.9, 0.45, 0.9])


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 9))
def test_every_class_has_the_target_density_in_any_number_of_variables(shape, seed):
    random = np.random.default_rng(seed)
    counts = [random.integers(1, 9, shape) for _ in "ab"]
    density = " * ".join(f"np.exp(-v{i})" for i in range(len(shape)))
    config = config_of(shape, target=density, reweight_method="target", reweight_threshold=0)
    tables = make_weight_tables(filled(config, counts), "x.yaml")
    expected = np.ones(())
    for size in shape:
        expected = expected[..., None] * np.exp(-np.arange(size))  # of bins of width 1
    expected = expected / expected.sum()
    for name, table in zip("ab", counts, strict=True):
        kept = tables[name] * table
        np.testing.assert_allclose(kept / kept.sum(), expected, rtol=1e-6)
        assert distance_to(expected, table, tables[name]) == pytest.approx(0, abs=1e-6)


def test_the_distance_to_a_target_is_what_lies_in_the_wrong_bins():
    # half in each bin, where a quarter and three quarters are to be
    assert distance_to(np.array([0.25, 0.75]), np.array([4, 2]), np.array([0.5, 1])) == 0.25
    assert distance_to(np.array([0.25, 0.75]), np.array([4, -4]), np.array([1, 1])) == 0


def test_base_weights_that_add_up_to_less_than_nothing_give_their_bin_the_weight_0():
    # sums of a: 2, -1, 4; of b: 2, 4, -2
    config = config_of([3], reweight_basewgt="g", reweight_threshold=0, signed=True)
    rows = [(0, 3), (0, -1), (1, 1), (1, -2), (2, 4)], [(0, 2), (1, 4), (2, 1), (2, -3)]
    spectra = signed(config, *rows)
    tables = make_weight_tables(spectra, "x.yaml")
    # height 2: 2 and 2 of a, 2 and 2 of b are left; the largest weight of a row is then 1
    assert tables["a"][1] == tables["b"][2] == 0
    assert tables["a"][0] / tables["a"][2] == pytest.approx(2)
    assert tables["b"][0] / tables["b"][1] == pytest.approx(2)
    # of both classes, and of both signs: 3 with 1, and -1 with it
    assert np.abs(spectra.row_weights(np.stack(list(tables.values())))).max() == pytest.approx(1)
    reference = config_of(
        [3], reweight_basewgt="g", reweight_threshold=0, reweight_method="ref", signed=True
    )
    # both below 0 in the second bin, where the ratio is not
    rows = [(0, 2), (1, -1), (2, 4)], [(0, 2), (1, -2), (2, -3)]
    tables = make_weight_tables(signed(reference, *rows), "x.yaml")
    assert (tables["b"] > 0).tolist() == [True, False, False]


def test_tables_are_limited_by_the_sizes_of_weights_whatever_their_sign():
    config = config_of([1], reweight_basewgt="g", reweight_threshold=0, signed=True)
    # both classes add up to 4; the largest weight is that of -6
    tables = make_weight_tables(signed(config, [(0, 5), (0, 5), (0, -6)], [(0, 4)]), "x.yaml")
    assert tables["a"].tolist() == tables["b"].tolist() == pytest.approx([1 / 6])


def signed(config, a, b):
    """Spectra of rows of class a and of class b, each (bin, base weight)."""
    rows = np.array([*a, *b], dtype=float)
    is_a = np.arange(len(rows)) < len(a)
    table = {"v0": rows[:, 0] + 0.5, "a": is_a, "b": ~is_a, "g": rows[:, 1]}
    spectra = Spectra(config.weights)
    spectra.add(bin_rows(table, config.weights, config, "f"))
    return spectra


def test_a_negative_row_is_drawn_as_often_as_a_positive_one_of_its_size():
    config = config_of([1], reweight_basewgt="g", signed=True)
    tables = {"a": np.array([0.5]), "b": np.array([1.0])}
    # weights 2, -0.25 and -1, of which 1, 0.25 and 1 are kept
    spectra = with_base_weights(config, a=[4, -0.5], b=[-1])
    found = summarize_weights(spectra, tables, config)
    assert (found.mean, found.kept) == (pytest.approx(0.75 / 3), pytest.approx(2.25 / 3))


def test_without_classes_there_is_one_table_of_all_rows():
    config = config_of([2], reweight_classes=None, reweight_threshold=0)
    spectra = Spectra(config.weights)
    table = {"v0": np.array([0.5, 0.5, 0.5, 1.5])}
    spectra.add(bin_rows(table, config.weights, config, "f"))
    tables = make_weight_tables(spectra, "x.yaml")
    assert tables["all rows"].tolist() == pytest.approx([0.3, 0.9])
    spectra = Spectra(config.weights)
    spectra.add(bin_rows({"v0": np.array([9.0])}, config.weights, config, "f"))
    with pytest.raises(DataError, match=r"reweight_vars: none of 1 rows .* lies inside the bins"):
        make_weight_tables(spectra, "x.yaml")


@pytest.mark.parametrize(
    ("config", "counts", "message"),
    [
        (
            config_of([2]),
            [[1, 1], [0, 0]],
            r"x.yaml: weights.reweight_classes: class 'b' has no events in the training data "
            r"\(none of 2 rows has b = 1\)",
        ),
        (
            config_of([2], reweight_method="ref"),
            [[1, 0], [0, 1]],
            "class 'b': no bin holds events of both this class and the first one",
        ),
    ],
)
def test_a_class_without_events_or_weights_is_named(config, counts, message):
    with pytest.raises(DataError, match=message):
        make_weight_tables(filled(config, [np.array(table) for table in counts]), "x.yaml")


def test_a_class_outside_the_bins_and_base_weights_of_zero_are_told():
    config = config_of([2], reweight_basewgt="g")
    table = {
        "v0": np.array([0.5, 9.0]),
        "a": np.array([1, 0]),
        "b": np.array([0, 1]),
        "g": np.ones(2),
    }
    spectra = Spectra(config.weights)
    spectra.add(bin_rows(table, config.weights, config, "f"))
    with pytest.raises(
        DataError, match=r"class 'b' has no events .*its 1 row lies outside the bins"
    ):
        make_weight_tables(spectra, "x.yaml")
    spectra = Spectra(config.weights)
    spectra.add(
        bin_rows(
            table | {"v0": np.array([0.5, 1.5]), "g": np.zeros(2)}, config.weights, config, "f"
        )
    )
    with pytest.raises(
        DataError,
        match="class 'a': the base weights of its events add up to nothing in every bin; "
        "all its weights are 0",
    ):
        make_weight_tables(spectra, "x.yaml")


def test_mean_weights_are_those_of_all_rows():
    config = config_of([2])
    spectra = filled(config, [np.array([2, 6]), np.array([1, 1])])
    found = summarize_weights(spectra, {"a": np.array([3, 0.5]), "b": np.array([0.5, 0])}, config)
    assert (found.rows, found.mean, found.kept) == (
        10,
        pytest.approx((6 + 3 + 0.5) / 10),
        pytest.approx((2 + 3 + 0.5) / 10),
    )


def test_precomputed_weights_are_multiplied_and_added_up():
    config = from_mapping(
        {
            "inputs": {"e": {"length": None, "vars": ["x"]}},
            "weights": {"use_precomputed_weights": True, "weight_branches": ["u", "v + 1"]},
        },
        "x.yaml",
    )
    weights = row_weights(
        {"u": np.array([1, 2, 0]), "v": np.array([0.0, 1, 1])}, None, config.weights, "f"
    )
    assert weights.tolist() == [1, 4, 0]
    sums = WeightSums()
    sums.add(weights)
    assert sums.summary(config) == WeightSummary(rows=3, mean=5 / 3, kept=2 / 3)
    sums.add(np.array([-0.5, -2.0]))
    assert sums.summary(config) == WeightSummary(rows=5, mean=0.5, kept=3.5 / 5)
    with pytest.raises(DataError, match="weights of the 3 training rows are all zero"):
        validate_summary(WeightSummary(rows=3, mean=0, kept=0), config)
    with pytest.raises(DataError, match="no row of the training data passes"):
        validate_summary(WeightSummary(rows=0, mean=0, kept=0), config)


def with_base_weights(config, a, b):
    """Spectra of one bin that holds rows of class a and of class b with these base weights."""
    base = np.array([*a, *b], dtype=float)
    is_a = np.arange(len(base)) < len(a)
    table = {"v0": np.full(len(base), 0.5), "a": is_a, "b": ~is_a, "g": base}
    spectra = Spectra(config.weights)
    spectra.add(bin_rows(table, config.weights, config, "f"))
    return spectra


def test_base_weights_that_are_nearly_all_zero_are_an_error():
    config = config_of([1], reweight_basewgt="g")
    spectra = with_base_weights(config, a=[1] + [0] * 19, b=[1] + [0] * 19)
    with pytest.raises(DataError, match=r"at least 90 % of the training rows have weight 0"):
        make_weight_tables(spectra, "x.yaml")


def test_tables_with_base_weights_give_a_percentile_of_the_rows_the_weight_1():
    config = config_of([1], reweight_basewgt="g", reweight_threshold=25)
    tables = make_weight_tables(with_base_weights(config, a=[1, 4], b=[2, 3]), "x.yaml")
    # both classes add up to 5 and have one table; the 75th percentile of 1, 2, 3, 4 is 3.25
    assert tables["a"].tolist() == tables["b"].tolist() == pytest.approx([1 / 3.25])


def test_rows_with_base_weights_are_drawn_at_most_once():
    config = config_of([1], reweight_basewgt="g")
    tables = {"a": np.array([0.5]), "b": np.array([1.0])}
    # weights 2, 0.25 and 1, of which 1, 0.25 and 1 are kept
    found = summarize_weights(with_base_weights(config, a=[4, 0.5], b=[1]), tables, config)
    assert (found.mean, found.kept) == (pytest.approx(3.25 / 3), pytest.approx(2.25 / 3))


def test_the_mean_of_a_choice_of_rows_is_that_of_the_choice(monkeypatch):
    for module in (weight_tables, spectra_module):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 2)
    config = config_of([1], reweight_basewgt="g")
    tables = {"a": np.array([0.5]), "b": np.array([0.5])}
    found = summarize_weights(with_base_weights(config, a=[1] * 5, b=[1] * 3), tables, config)
    assert (found.rows, found.mean, found.kept) == (8, 0.5, 0.5)


def test_rows_outside_the_bins_count_in_the_mean_weight():
    config = config_of([1])
    table = {"v0": np.array([0.5, 0.5, 7.0, 8.0]), "a": np.array([1, 0, 1, 0])}
    table["b"] = 1 - table["a"]
    spectra = Spectra(config.weights)
    spectra.add(bin_rows(table, config.weights, config, "f"))
    found = summarize_weights(spectra, {"a": np.array([1.0]), "b": np.array([0.5])}, config)
    assert (found.rows, found.mean) == (4, pytest.approx(1.5 / 4))


def test_a_mean_weight_of_zero_is_an_error_in_the_loss_too():
    config = config_of([1], mode="loss")
    with pytest.raises(DataError, match="weights of the 2 training rows are all zero"):
        validate_summary(WeightSummary(rows=2, mean=0.0, kept=0.0), config)


def test_a_rows_weight_is_the_entry_of_its_bin_times_its_base_weight():
    config = config_of([2], reweight_basewgt="g")
    tables = {"a": np.array([0.5, 0.25]), "b": np.array([1.0, 2.0])}
    weights = replace(config.weights, tables=tables)
    table = {
        "v0": np.array([0.5, 1.5, 1.5, 9.0]),
        "a": np.array([1, 1, 0, 1]),
        "b": np.array([0, 0, 1, 0]),
        "g": np.array([2.0, 4.0, 3.0, 1.0]),
    }
    placed = bin_rows(table, weights, config, "f")
    assert row_weights(table, placed, weights, "f").tolist() == [1.0, 1.0, 6.0, 0.0]


def test_empty_bins_do_not_count_in_the_median_that_says_what_is_next_to_nothing():
    # of the bins that are filled the median is 400; of all of them it would be 0
    counts = [np.array([400, 400, 400, 3, 0, 0, 0, 0, 0]), np.full(9, 400)]
    tables = make_weight_tables(filled(config_of([9], reweight_threshold=0), counts), "x.yaml")
    assert tables["a"].tolist() == pytest.approx([0.9] * 4 + [0] * 5)  # of 1203 rows
    assert tables["b"].tolist() == pytest.approx([0.9 * 1203 / 3600] * 9)
