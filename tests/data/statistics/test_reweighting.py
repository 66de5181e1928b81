"""Weights of a run: computed once, kept beside the statistics, used in training only.

And closing on what they promise.
"""

import copy
import logging
from collections import Counter
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import yaml as yaml_reader

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.schema import WeightSummary
from weaver_tt.data.chunks import Source
from weaver_tt.data.loaders import test_loaders as loaders_of
from weaver_tt.data.loaders import train_loader, val_loader
from weaver_tt.data.statistics import fit
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.reweighting import WeightsAccumulator, describe_weights
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.options.train import DataOptions

ROWS = 4000
YAML = {
    "selection": "number >= 0",
    "preprocess": {"method": "auto"},
    "inputs": {"event": {"length": None, "vars": ["pt", ["number", None]]}},
    "labels": {"type": "simple", "value": ["sig", "bkg"]},
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"pt": [0, 1, 2, 3, 4]},
        "reweight_classes": ["sig", "bkg"],
        "reweight_threshold": 0,
    },
}


def changed(**weights):
    values = copy.deepcopy(YAML)
    values["weights"] |= weights
    return from_mapping(values, "x.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of falling background and rising signal."""
    random = np.random.default_rng(1)
    sig = np.arange(ROWS) % 2
    falling = random.exponential(1.5, ROWS)
    pt = np.where(sig, 4 - falling, falling).clip(0.01, 3.99)
    path = str(tmp_path_factory.mktemp("data") / "a.parquet")
    table = {
        "pt": pt,
        "sig": sig,
        "bkg": 1 - sig,
        "number": np.arange(ROWS),
        "gen": random.exponential(1, ROWS),
        "w": sig * 0.5 + 0.25,
    }
    ak.to_parquet(ak.Array(table), path, row_group_size=500, extensionarray=False)
    return table | {"path": path}


def options(data, **more):
    return DataOptions(
        data_train=[data["path"]], **{"train_val_split": 1.0, "batch_size": 50, **more}
    )


def prepared(config, data, folder, **more):
    return fit_statistics(config, str(folder / "net"), options(data, **more))[0]


def drawn(config, data, pool=1500, **more):
    """All rows of an epoch (in one batch, as none is whole), and its loader."""
    loader = train_loader(
        config, options(data, batch_size=10 * ROWS, pool_size=pool), seed=3, **more
    )
    return rows_of(loader), loader


def rows_of(loader, epoch=0):
    return [int(row) for batch in loader.epoch(epoch) for row in batch.inputs["event"][:, 1]]


def test_sampling_makes_spectra_flat_and_classes_equal(data, tmp_path, caplog):
    caplog.set_level(logging.INFO, "weaver_tt")
    config = prepared(changed(), data, tmp_path)
    rows, loader = drawn(config, data)
    sizes = np.array(
        [
            np.histogram(data["pt"][rows][np.asarray(data[name])[rows] == 1], [0, 1, 2, 3, 4])[0]
            for name in ("sig", "bkg")
        ]
    )
    mean = sizes.mean()
    assert (abs(sizes - mean) < 5 * np.sqrt(mean)).all()
    expected = config.weights.summary.kept * ROWS * max(1, int(1 / config.weights.summary.kept))
    assert len(rows) == pytest.approx(expected, abs=5 * np.sqrt(expected))
    assert f"an epoch has about {expected:,.0f} rows drawn from 4,000 selected ones" in caplog.text
    counts = loader.accounting
    assert (
        counts.used.total()
        == counts.selected.total() - counts.sampled_out.total() + counts.repeated.total()
        == len(rows)
    )
    assert "sampled out" in counts.report()
    # the closure is of the very rows that came
    after = [[counts.spectra["pt", name, "after", i] for i in range(4)] for name in ("sig", "bkg")]
    assert after == sizes.tolist()


DENSITY = {"reweight_method": "target", "target": "np.exp(-pt / 2)"}
# its integrals over the bins
SHARES = -np.diff(np.exp(-np.arange(5) / 2)) / (1 - np.exp(-2))


def spectrum_after(loader, name):
    """What the closure figure shows of a class."""
    spectra = loader.accounting.spectra
    return np.array([spectra["pt", name, "after", i] for i in range(4)])


def test_sampling_reaches_a_target_density_in_every_class(data, tmp_path, caplog):
    caplog.set_level(logging.INFO, "weaver_tt")
    config = prepared(changed(**DENSITY, class_weights=[1, 2]), data, tmp_path)
    _, loader = drawn(config, data)
    signal = spectrum_after(loader, "sig")
    background = spectrum_after(loader, "bkg")
    for found in (signal, background):
        expected = SHARES * found.sum()
        assert (abs(found - expected) < 5 * np.sqrt(expected)).all()
    assert background.sum() == pytest.approx(2 * signal.sum(), rel=0.15)
    assert (
        "sig: 0 % of it is not where the target density has it" in caplog.text.replace("e-", "0")
        or "% of it is not where the target density has it" in caplog.text
    )


@pytest.mark.parametrize("sign", ["1", "np.where(number % 7 == 0, -1, 1)"])
def test_loss_weights_reach_a_target_density_exactly_with_signed_weights_too(data, tmp_path, sign):
    config = prepared(changed(**DENSITY, mode="loss", reweight_basewgt=sign), data, tmp_path)
    loader = train_loader(config, options(data, batch_size=10 * ROWS), seed=1)
    [batch] = loader.epoch(0)
    for name in ("sig", "bkg"):
        found = spectrum_after(loader, name)
        np.testing.assert_allclose(found / found.sum(), SHARES, rtol=1e-6)
        assert found.sum() == pytest.approx(ROWS / 2, rel=1e-6)
    negative = 0 if sign == "1" else 572  # 7 x 571 is 3997
    assert int((batch.weight < 0).sum()) == negative


def test_sampling_of_signed_rows_has_the_spectrum_of_their_weights(data, tmp_path):
    # a quarter of the rows count -1: their share of every bin is taken off again
    sign = "np.where(number % 8 < 2, -1, 1)"
    config = prepared(changed(**DENSITY, reweight_basewgt=sign, signed=True), data, tmp_path)
    # one batch holds all that is drawn
    loader = train_loader(config, options(data, batch_size=10 * ROWS), seed=3)
    values = []
    for batch in loader.epoch(0):
        number = batch.inputs["event"][:, 1].long() % 8
        assert batch.weight.tolist() == np.where(number < 2, -1.0, 1.0).tolist()
        values += batch.weight.tolist()
    assert sum(values) == pytest.approx(len(values) / 2, rel=0.15)
    both = spectrum_after(loader, "sig") + spectrum_after(loader, "bkg")
    assert both.sum() == sum(values)
    for name in ("sig", "bkg"):
        found = spectrum_after(loader, name)
        error = np.sqrt([loader.accounting.spectra["pt", name, "square", i] for i in range(4)])
        assert (abs(found - SHARES * found.sum()) < 5 * error).all()


def test_a_regression_without_classes_has_weights_of_all_rows(data, tmp_path):
    values = copy.deepcopy(YAML) | {"labels": {"type": "custom", "value": {"y": "gen"}}}
    values["weights"] |= DENSITY | {"reweight_classes": None, "mode": "loss"}
    config = prepared(from_mapping(values, "x.yaml"), data, tmp_path)
    loader = train_loader(config, options(data, batch_size=10 * ROWS), seed=1)
    list(loader.epoch(0))
    found = spectrum_after(loader, "all rows")
    np.testing.assert_allclose(found / ROWS, SHARES, rtol=1e-6)
    # and they are taken from the file of the run
    again = load_config(str(tmp_path / "net.auto.yaml"))
    assert list(again.weights.tables) == ["all rows"]


def test_bins_without_a_positive_sum_of_base_weights_are_in_a_warning(data, tmp_path, caplog):
    own = changed(mode="loss", reweight_basewgt="np.where(pt > 3, -1, 1)")
    config = prepared(own, data, tmp_path)
    assert "sig: the base weights add up to less than 0 in 1 bin: rows there" in caplog.text
    assert (config.weights.tables["sig"] > 0).tolist() == [True, True, True, False]


def test_the_same_rows_are_drawn_for_any_number_of_ranks_and_pool(data, tmp_path):
    config = prepared(changed(), data, tmp_path)
    alone, _ = drawn(config, data)
    shared = [row for rank in range(3) for row in drawn(config, data, rank=rank, world=3)[0]]
    assert Counter(shared) == Counter(alone)
    other, loader = drawn(config, data, pool=300)
    assert Counter(other) == Counter(alone)
    assert Counter(rows_of(loader, 1)) != Counter(alone)


def test_a_resumed_epoch_goes_on_as_it_would_have(data, tmp_path):
    loader = train_loader(prepared(changed(), data, tmp_path), options(data, num_workers=0), seed=5)
    whole = [batch.inputs["event"].clone() for batch in loader.epoch(2)]
    rest = [batch.inputs["event"].clone() for batch in loader.epoch(2, skip=4)]
    assert all(np.array_equal(a, b) for a, b in zip(whole[4:], rest, strict=True))


def test_progress_ends_at_1_and_fixed_steps_are_kept(data, tmp_path):
    config = prepared(changed(), data, tmp_path)
    progress = [batch.progress for batch in train_loader(config, options(data), seed=1).epoch(0)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert (
        len(list(train_loader(config, options(data, steps_per_epoch=200), seed=1).epoch(0))) == 200
    )


def test_validation_and_prediction_see_every_row_once_and_unweighted(data, tmp_path):
    for mode in ("sampling", "loss"):
        config = prepared(changed(mode=mode), data, tmp_path)
        loader = val_loader(config, options(data, data_val=[data["path"]]))
        batches = [
            (batch.inputs["event"][:, 1].tolist(), batch.weight) for batch in loader.epoch(0)
        ]
        assert [row for rows, _ in batches for row in rows] == list(range(ROWS))
        assert all(weight is None for _, weight in batches)
        test = loaders_of(config, options(data, data_test=[data["path"]]))
        assert sum(batch.size for loader in test.values() for batch in loader.epoch(0)) == ROWS


def test_loss_weights_keep_rows_multiply_the_event_weight_and_have_mean_1(data, tmp_path):
    config = prepared(changed(mode="loss"), data, tmp_path)

    def weights_of(own):
        [batch] = train_loader(own, options(data, batch_size=10 * ROWS), seed=1).epoch(0)
        return dict(
            zip(batch.inputs["event"][:, 1].int().tolist(), batch.weight.tolist(), strict=True)
        )

    weights = weights_of(config)
    assert sorted(weights) == list(range(ROWS))
    assert np.mean(list(weights.values())) == pytest.approx(1)
    spectrum = np.histogram(
        data["pt"],
        [0, 1, 2, 3, 4],
        weights=np.array([weights[row] for row in range(ROWS)]) * data["sig"],
    )[0]
    assert spectrum == pytest.approx(np.full(4, ROWS / 8), rel=1e-5)
    both = weights_of(
        replace(config, event_weight=from_mapping({**YAML, "event_weight": "gen"}).event_weight)
    )
    assert both == pytest.approx(
        {row: weight * data["gen"][row] for row, weight in weights.items()}, rel=1e-5
    )


def test_precomputed_weights_are_probabilities(data, tmp_path):
    values = {**YAML, "weights": {"use_precomputed_weights": True, "weight_branches": ["w"]}}
    config = prepared(from_mapping(values, "x.yaml"), data, tmp_path)
    assert (config.weights.summary.mean, config.weights.summary.kept) == (0.5, 0.5)
    rows = Counter(
        drawn(config, data)[0]
    )  # twice 0.75 and twice 0.25: once or twice, once or never
    assert set(rows.values()) == {1, 2}
    signal = sum(number for row, number in rows.items() if row % 2)
    assert signal == pytest.approx(0.75 * ROWS, abs=5 * np.sqrt(ROWS / 8))


def test_weights_are_computed_once_and_kept_beside_the_statistics(
    data, tmp_path, caplog, monkeypatch
):
    first = prepared(changed(), data, tmp_path)
    path = tmp_path / "net.auto.yaml"
    written = yaml_reader.safe_load(path.read_text())["weights"]
    assert np.array_equal(written["reweight_hists"]["sig"], first.weights.tables["sig"])
    monkeypatch.setattr(WeightsAccumulator, "result", lambda _: pytest.fail("computed again"))
    again = prepared(changed(mode="loss"), data, tmp_path)  # the mode changes no table
    assert again.weights.summary == first.weights.summary
    assert again.inputs == first.inputs
    assert load_config(str(path)).weights.summary == first.weights.summary


def test_weights_are_computed_again_when_something_that_matters_changes(
    data, tmp_path, monkeypatch
):
    prepared(changed(), data, tmp_path)
    computed = []
    compute = WeightsAccumulator.result
    monkeypatch.setattr(
        WeightsAccumulator, "result", lambda self: computed.append(1) or compute(self)
    )
    changes = (
        {"reweight_threshold": 20},
        {"class_weights": [1, 2]},
        {"reweight_vars": {"pt": [0, 2, 4]}},
        {"reweight_basewgt": "gen"},
        {"reweight_method": "ref"},
    )
    for number, change in enumerate(changes, 1):
        prepared(changed(**change), data, tmp_path)
        assert len(computed) == number
    prepared(changed(**changes[-1]), data, tmp_path, train_val_split=0.5)
    assert len(computed) == len(changes) + 1


def test_no_remake_weights_takes_what_is_there(data, tmp_path):
    first = prepared(changed(), data, tmp_path)
    kept = prepared(changed(reweight_threshold=50), data, tmp_path, remake_weights=False)
    assert np.array_equal(kept.weights.tables["bkg"], first.weights.tables["bkg"])
    with pytest.raises(
        ConfigError, match=r"net.auto.yaml: its weights are of other variables, bins or classes"
    ):
        prepared(changed(reweight_vars={"pt": [0, 2, 4]}), data, tmp_path, remake_weights=False)


def test_tables_of_the_yaml_are_remade_unless_the_flag_says_no(data, tmp_path):
    given = changed(reweight_hists={"sig": [0.5] * 4, "bkg": [0.25] * 4})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert prepared(
        given, data, tmp_path / "a", remake_weights=False
    ).weights.summary.mean == pytest.approx(0.375)
    remade = prepared(given, data, tmp_path / "b").weights.tables
    assert len(set(remade["sig"].tolist())) > 1


def test_columns_that_are_not_there_are_told_with_their_key(data, tmp_path):
    for change, message in (
        ({"reweight_classes": ["sig", "bkgd"]}, "'bkgd' .*weights.reweight_classes.*'bkg'"),
        ({"reweight_vars": {"ptt": [0, 1]}}, "'ptt' .*weights.reweight_vars"),
    ):
        with pytest.raises(DataError, match=f"x.yaml: no column {message}"):
            fit_statistics(changed(**change), str(tmp_path / "net"), options(data))


def test_a_class_without_events_is_an_error_on_every_rank(data, tmp_path, monkeypatch):
    config = from_mapping({**YAML, "selection": "sig == 1"}, "x.yaml")
    with pytest.raises(DataError, match="class 'bkg' has no events"):
        fit_statistics(config, str(tmp_path / "net"), options(data))
    monkeypatch.setattr(fit.distributed, "is_main", lambda: False)
    monkeypatch.setattr(
        fit.distributed, "broadcast_from_main", lambda _: DataError("rank 0 said so")
    )
    with pytest.raises(DataError, match="rank 0 said so"):
        fit_statistics(config, str(tmp_path / "net"), options(data))


def test_constants_by_file_name_are_weights_too(data, tmp_path):
    values = {
        **YAML,
        "file_magic": {"xsec": {"a": 0.5}},
        "weights": {"use_precomputed_weights": True, "weight_branches": ["xsec"]},
    }
    assert prepared(from_mapping(values, "x.yaml"), data, tmp_path).weights.summary.mean == 0.5


def test_whatever_the_tables_are_computed_with_is_in_their_fingerprint(data):
    def fingerprint(config):
        sources = [Source(0, data["path"], (0, ROWS))]
        return WeightsAccumulator(config, config.weights, sources, remake=True).fingerprint

    def precomputed(*branches):
        weights = {"use_precomputed_weights": True, "weight_branches": list(branches)}
        return from_mapping({**YAML, "weights": weights}, "x.yaml")

    configs = [
        changed(),
        changed(reweight_discard_under_overflow=False),
        changed(reweight_method="ref"),
        changed(reweight_classes=["bkg", "sig"]),
        changed(**DENSITY),
        changed(**DENSITY | {"target": "np.exp(-pt)"}),
        changed(reweight_basewgt="gen"),
        changed(reweight_basewgt="gen * 2"),
        precomputed("w"),
        precomputed("w * 2"),
    ]
    assert len({fingerprint(config) for config in configs}) == len(configs)
    assert fingerprint(changed(mode="loss")) == fingerprint(changed())


def test_tables_of_other_classes_or_columns_are_not_taken_as_they_are(data, tmp_path):
    prepared(changed(), data, tmp_path)
    # the tables are found by the number of the class
    swapped = changed(reweight_classes=["bkg", "sig"])
    with pytest.raises(ConfigError, match="its weights are of other variables, bins or classes"):
        prepared(swapped, data, tmp_path, remake_weights=False)
    weights = {"use_precomputed_weights": True, "weight_branches": ["w"]}
    one = from_mapping({**YAML, "weights": weights}, "x.yaml")
    weights = {"use_precomputed_weights": True, "weight_branches": ["w", "gen"]}
    two = from_mapping({**YAML, "weights": weights}, "x.yaml")
    prepared(one, data, tmp_path)
    with pytest.raises(ConfigError, match="its weights are of other variables, bins or classes"):
        prepared(two, data, tmp_path, remake_weights=False)


def test_the_line_on_an_epoch_says_how_many_rows_are_drawn():
    summary = WeightSummary(rows=1000, mean=0.5, kept=0.4)
    config = changed()
    drawn_line = describe_weights(replace(config.weights, summary=summary))
    assert drawn_line == (
        "weights: a row is drawn 2 x min(weight, 1) times, the mean of which is 0.8: an epoch has "
        "about 800 rows drawn from 1,000 selected ones (mode sampling)"
    )
    signed = describe_weights(replace(config.weights, summary=summary, signed=True))
    assert "a row is drawn 2 x min(abs(weight), 1) times" in signed
    loss_line = describe_weights(replace(config.weights, mode="loss", summary=summary))
    assert "the loss of a row counts weight / 0.5, the mean weight of 1,000 rows" in loss_line


def test_rows_without_weight_are_counted_in_a_warning(data, tmp_path, caplog):
    # half of the rows are of no class, and some lie outside the bins
    config = changed(reweight_classes=["sig"], reweight_vars={"pt": [1, 2, 3]})
    pt = data["pt"][1::2]
    lost = ROWS - int(((pt >= 1) & (pt <= 3)).sum())
    prepared(config, data, tmp_path)
    assert f"{lost} of {ROWS} rows have weight 0" in caplog.text


def test_a_constant_by_file_name_is_no_column_that_is_missing(data, tmp_path):
    values = copy.deepcopy(YAML) | {"file_magic": {"mc": {"a": 1}}}
    values["weights"] |= {"reweight_classes": ["mc"], "reweight_vars": {"ptt": [0, 1]}}
    with pytest.raises(DataError, match=r"x.yaml: no column 'ptt' \(needed by weights"):
        prepared(from_mapping(values, "x.yaml"), data, tmp_path)


def test_weights_that_are_nowhere_are_computed_even_if_none_are_to_be_remade(data, tmp_path):
    made = prepared(changed(), data, tmp_path)
    (tmp_path / "new").mkdir()
    first = prepared(changed(), data, tmp_path / "new", remake_weights=False)
    assert np.array_equal(first.weights.tables["sig"], made.weights.tables["sig"])


def test_a_file_whose_tables_have_no_means_is_out_of_date(data, tmp_path):
    # as Weaver writes it
    values = copy.deepcopy(YAML)
    values["weights"]["reweight_hists"] = {"sig": [0.5] * 4, "bkg": [0.25] * 4}
    (tmp_path / "net.auto.yaml").write_text(yaml_reader.safe_dump(values))
    tables = prepared(changed(), data, tmp_path).weights.tables
    assert len(set(tables["sig"].tolist())) > 1


def test_rows_are_counted_where_no_column_is_needed_for_the_weights(data, tmp_path):
    weights = {"use_precomputed_weights": True, "weight_branches": ["xsec"]}
    values = {**YAML, "file_magic": {"xsec": {"a": 0.5}}, "weights": weights}
    del values["selection"]
    summary = prepared(from_mapping(values, "x.yaml"), data, tmp_path).weights.summary
    assert (summary.rows, summary.mean) == (ROWS, 0.5)
