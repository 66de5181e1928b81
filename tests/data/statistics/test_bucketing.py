"""Buckets of similar rows: pure batches, less padding, nothing lost, the same after a resume."""

from collections import Counter
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.data.loaders import train_loader, val_loader
from weaver_tt.data.rows.padding import shortened_length
from weaver_tt.data.statistics.bucketing import bucket_indices
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.options.train import DataOptions

ROWS = 600


def config(**bucketing):
    values = {
        "inputs": {
            "jets": {"length": 120, "vars": [["x", None]]},
            "event": {"length": None, "vars": [["number", None]]},
        },
        "labels": {"type": "simple", "value": ["odd", "even"]},
        "bucketing": {"var": "n", "bins": [0, 20, 50, 120]} | bucketing,
    }
    return from_mapping(values, "x.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows of 0 to 119 objects, sorted by number of objects in two files."""
    random = np.random.default_rng(1)
    counts = np.sort(random.integers(0, 120, ROWS))
    x = ak.unflatten(random.normal(0, 1, counts.sum()), counts)
    number = np.arange(ROWS)
    table = ak.zip(
        {"x": x, "n": counts, "number": number, "odd": number % 2, "even": 1 - number % 2},
        depth_limit=1,
    )
    folder = tmp_path_factory.mktemp("data")
    paths = []
    for i in range(2):
        paths.append(str(folder / f"{i}.parquet"))
        ak.to_parquet(
            table[i * ROWS // 2 : (i + 1) * ROWS // 2],
            paths[-1],
            row_group_size=50,
            extensionarray=False,
        )
    return paths, counts


def options(data, **more):
    return DataOptions(
        data_train=data[0], **{"train_val_split": 1.0, "batch_size": 32, "pool_size": 400, **more}
    )


def numbers(batches):
    return [batch.inputs["event"][:, 0].int().tolist() for batch in batches]


def test_batches_are_pure_short_and_complete(data):
    loader = train_loader(config(), options(data), seed=1)
    seen = []
    for batch in loader.epoch(0):
        rows = batch.inputs["event"][:, 0].int().tolist()
        assert (
            len({int(np.searchsorted([20, 50], data[1][row], side="right")) for row in rows}) == 1
        )
        assert batch.inputs["jets"].shape == (len(rows), 1, shortened_length(data[1][rows], 120))
        seen += rows
    assert sorted(seen) == list(range(ROWS))
    (now, full) = loader.accounting.padding()["jets"]
    assert full == pytest.approx(1 - data[1].mean() / 120)
    assert now < 0.75 * full
    assert (
        f"padding of jets: {now:.1%} of its slots, {full:.1%} without bucketing"
        in loader.accounting.report()
    )


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3), st.integers(10, 100), st.integers(1, 800), st.integers(0, 2))
def test_every_row_comes_once_whoever_shares_the_work(data, world, batch_size, pool, epoch):
    shares = [
        train_loader(
            config(),
            options(data, batch_size=batch_size, pool_size=pool),
            seed=2,
            rank=rank,
            world=world,
        )
        for rank in range(world)
    ]
    assert sorted(
        row for loader in shares for rows in numbers(loader.epoch(epoch)) for row in rows
    ) == list(range(ROWS))


def test_order_is_a_function_of_the_seed_and_resume_is_the_rest_of_it(data):
    loader = train_loader(config(), options(data), seed=3)
    whole = numbers(loader.epoch(1))
    assert numbers(loader.epoch(1)) == whole
    assert numbers(loader.epoch(1, skip=7)) == whole[7:]
    assert numbers(train_loader(config(), options(data), seed=4).epoch(1)) != whole


def test_worker_processes_keep_buckets_apart_too(data):
    loader = train_loader(config(), options(data, num_workers=2), seed=1)
    found = numbers(loader.epoch(0))
    assert sorted(row for rows in found for row in rows) == list(range(ROWS))
    assert all(
        len({int(np.searchsorted([20, 50], data[1][row], side="right")) for row in rows}) == 1
        for rows in found
    )


def test_classes_stay_mixed_inside_a_bucket(data):
    shares = [
        np.mean([row % 2 for row in rows])
        for rows in numbers(train_loader(config(), options(data), seed=1).epoch(0))
        if len(rows) == 32
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)
    assert np.std(shares) == pytest.approx(0.5 / np.sqrt(32), rel=0.5)


def test_networks_of_one_length_and_validation_get_full_batches(data):
    fixed = train_loader(config(), options(data), seed=1, any_length=False)
    assert {batch.inputs["jets"].shape[2] for batch in fixed.epoch(0)} == {120}
    validation = val_loader(config(), options(data, data_val=data[0]))
    assert {batch.inputs["jets"].shape[2] for batch in validation.epoch(0)} == {120}
    assert [row for rows in numbers(validation.epoch(0)) for row in rows] == list(range(ROWS))


def test_a_number_of_bins_divides_the_training_rows_evenly_once(data, tmp_path, monkeypatch):
    prefix = str(tmp_path / "net")

    def edges():
        return fit_statistics(config(bins=4), prefix, options(data))[0].bucketing.inner_edges

    assert edges() == tuple(np.unique(np.quantile(data[1], [0.25, 0.5, 0.75])))
    monkeypatch.setattr(
        "weaver_tt.data.statistics.training_pass._accumulate_file",
        lambda *_: pytest.fail("computed again"),
    )
    assert edges() == load_config(f"{prefix}.auto.yaml").bucketing.inner_edges
    sizes = Counter(np.searchsorted(edges(), data[1], side="right").tolist())
    assert max(sizes.values()) < 1.2 * min(sizes.values())


def test_edges_that_were_not_computed_and_jagged_variables_are_errors(data, tmp_path):
    with pytest.raises(ConfigError, match=r"x.yaml: bucketing: its edges have not been computed"):
        list(train_loader(config(bins=4), options(data), seed=1).epoch(0))
    with pytest.raises(
        DataError,
        match=r"bucketing.var: 'x': expected one number for each row, "
        "but it has one for each object",
    ):
        fit_statistics(config(var="x", bins=3), str(tmp_path / "net"), options(data))
    given = config()
    assert fit_statistics(given, str(tmp_path / "net"), options(data))[0] is given
    nothing = replace(given, bucketing=None)
    assert fit_statistics(nothing, str(tmp_path / "net"), options(data))[0] is nothing


@pytest.mark.parametrize("bins", [4, [0, 20, 50, 120]])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_of_no_size_is_an_error_that_counts_them(tmp_path, bins, value):
    number = np.arange(20.0)
    size = number.copy()
    size[[3, 7]] = value
    columns = {"x": number[:, None], "n": size, "number": number, "odd": number % 2}
    columns["even"] = 1 - columns["odd"]
    path = str(tmp_path / "a.parquet")
    ak.to_parquet(ak.Array(columns), path)
    message = r"bucketing.var: 'n' is NaN or infinite in 2 of 20 selected rows, the first .* 3;"
    options = DataOptions(data_train=[path], train_val_split=1.0)

    def train():
        fitted, scan = fit_statistics(config(bins=bins), str(tmp_path / "net"), options)
        return list(train_loader(fitted, options, scan=scan).epoch(0))

    with pytest.raises(DataError, match=message):
        train()


def test_outer_buckets_are_open():
    bucketing = config(bins=[10, 20, 30]).bucketing
    assert bucket_indices({"n": np.array([-5, 10, 19, 20, 99])}, bucketing, "f").tolist() == [
        0,
        0,
        0,
        1,
        1,
    ]


def write_counts(path, counts):
    """Rows of so many objects, none of which the network sees."""
    number = np.arange(len(counts))
    table = {"n": np.array(counts), "number": number, "odd": number % 2, "even": 1 - number % 2}
    table["x"] = ak.unflatten(np.zeros(sum(counts)), counts)
    ak.to_parquet(ak.zip(table, depth_limit=1), str(path), extensionarray=False)


def test_quantiles_that_coincide_are_one_edge_and_come_back_from_the_file(tmp_path):
    write_counts(tmp_path / "a.parquet", [1] * 9 + [5] * 3)
    source = DataOptions(data_train=[str(tmp_path / "a.parquet")], train_val_split=1.0)
    for _ in range(2):
        # the quantiles at 1/4, 1/2 and 3/4 of nine 1 and three 5 are 1, 1 and 2
        own, _ = fit_statistics(config(bins=4), str(tmp_path / "net"), source)
        assert own.bucketing.inner_edges == (1.0, 2.0)


def test_a_selection_without_a_row_has_nothing_to_make_buckets_of(tmp_path):
    write_counts(tmp_path / "a.parquet", [1, 2, 3])
    selection = parse_expression("n > 5", "x.yaml")
    own = replace(config(bins=2), selection=selection)
    source = DataOptions(data_train=[str(tmp_path / "a.parquet")], train_val_split=1.0)
    with pytest.raises(DataError, match=r"x.yaml: no row of the .* nothing to make buckets of"):
        fit_statistics(own, str(tmp_path / "net"), source)


def test_a_value_on_an_edge_belongs_to_the_bucket_above_it():
    bucketing = config(bins=[0, 20, 50, 120]).bucketing
    table = {"n": np.array([19, 20, 49, 50])}
    assert bucket_indices(table, bucketing, "f").tolist() == [0, 1, 1, 2]
