"""One scan and one pass: what is out of date is computed, files are opened twice, once for all."""

import copy
import logging
import shutil
from collections import Counter

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data import scan as scan_module
from weaver_tt.data.loaders import train_loader, val_loader
from weaver_tt.data.shuffle import decoder
from weaver_tt.data.statistics import fit, training_pass
from weaver_tt.data.statistics.bucketing import BucketEdgesAccumulator
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.reweighting import WeightsAccumulator
from weaver_tt.data.statistics.standardize import StatisticsAccumulator
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.options.train import DataOptions

ROWS = 900
YAML = {
    "selection": "number % 7 != 0",
    "new_variables": {"mass": "np.sqrt(met) + 1", "logpt": "np.log(pt)"},
    "preprocess": {"method": "auto", "data_fraction": 0.3},
    "inputs": {
        "jets": {"length": 6, "vars": ["pt", "logpt"]},
        "event": {"length": None, "vars": ["met", ["number", None]]},
    },
    "labels": {"type": "simple", "value": ["odd", "even"]},
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"mass": [1, 3, 5, 12]},
        "reweight_classes": ["odd", "even"],
        "class_weights": [1, 2],
    },
    "bucketing": {"var": "jets", "bins": 3},
}
PARTS = {"weights": WeightsAccumulator, "buckets": BucketEdgesAccumulator}
PARTS["statistics"] = StatisticsAccumulator


def changed(**changes):
    """The configuration with other values, without those sections that are None."""
    values = copy.deepcopy(YAML) | changes
    kept = {key: value for key, value in values.items() if value is not None}
    return from_mapping(kept, "x.yaml")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of 900 rows of up to 6 jets in row groups of 100."""
    folder = tmp_path_factory.mktemp("data")
    paths = []
    for file in range(2):
        random = np.random.default_rng(file)
        jets = random.integers(0, 7, ROWS)
        number = np.arange(ROWS)
        table = {
            "pt": ak.unflatten(random.exponential(30, jets.sum()) + 1, jets),
            "jets": jets,
            "met": random.uniform(0, 100, ROWS),
            "number": number,
            "odd": number % 2,
            "even": 1 - number % 2,
        }
        paths.append(str(folder / f"{file}.parquet"))
        ak.to_parquet(
            ak.zip(table, depth_limit=1), paths[-1], row_group_size=100, extensionarray=False
        )
    return paths


@pytest.fixture
def opens(monkeypatch):
    """How often each file has been opened."""
    counts = Counter()
    for module in (scan_module, training_pass, decoder):
        opener = module.open_reader

        def count(path, *how, opener=opener):
            counts[path] += 1
            return opener(path, *how)

        monkeypatch.setattr(module, "open_reader", count)
    return counts


@pytest.fixture
def computed(monkeypatch):
    """Names of the parts that were computed."""
    names = []
    for name, part in PARTS.items():
        result = part.result

        def note(self, name=name, result=result):
            names.append(name)
            return result(self)

        monkeypatch.setattr(part, "result", note)
    return names


def options(files, **more):
    return DataOptions(data_train=files, **{"train_val_split": 0.8, "batch_size": 50, **more})


def test_together_they_find_what_each_finds_alone(files, tmp_path):
    together, _ = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    plain = {"method": "manual"}
    for name, config in {
        "weights": changed(bucketing=None, preprocess=plain),
        "bucketing": changed(weights=None, preprocess=plain),
        "inputs": changed(weights=None, bucketing=None),
    }.items():
        alone, _ = fit_statistics(config, str(tmp_path / name), options(files))
        assert getattr(alone, name) == getattr(together, name)
        if name == "weights":
            for key, table in alone.weights.tables.items():
                assert np.array_equal(table, together.weights.tables[key])
    # by hand: 30 % of each stretch of the first 80 % of the rows; a stretch is all 720 of a file
    rows = [number for number in range(216) if number % 7 != 0]
    met = [ak.from_parquet(path).met.to_numpy()[rows] for path in files]
    event = together.inputs["event"].variables[0]
    assert event.center == np.median(np.concatenate(met))
    jets = [ak.from_parquet(path).jets.to_numpy() for path in files]
    jets = np.concatenate([counts[:720][np.arange(720) % 7 != 0] for counts in jets])
    assert together.bucketing.inner_edges == tuple(np.quantile(jets, [1 / 3, 2 / 3]))
    assert together.weights.summary.rows == len(jets)


def test_only_what_is_out_of_date_is_computed(files, tmp_path, computed):
    prefix = str(tmp_path / "net")

    def parts(**changes):
        computed.clear()
        fit_statistics(changed(**changes), prefix, options(files))
        return list(computed)

    assert parts() == ["weights", "buckets", "statistics"]
    assert parts() == []
    weights = {**YAML["weights"], "reweight_threshold": 20}
    assert parts(weights=weights) == ["weights"]
    buckets = {"var": "jets", "bins": 4}
    assert parts(weights=weights, bucketing=buckets) == ["buckets"]
    share = {"method": "auto", "data_fraction": 0.5}
    assert parts(weights=weights, bucketing=buckets, preprocess=share) == ["statistics"]
    assert parts(weights=weights, bucketing=buckets, preprocess=share) == []
    # a selection matters to all of them
    everything = {"weights": weights, "bucketing": buckets, "preprocess": share}
    assert parts(**everything, selection="number > 3") == ["weights", "buckets", "statistics"]


def test_a_second_run_has_the_same_numbers_from_the_file(files, tmp_path):
    runs = [fit_statistics(changed(), str(tmp_path / "net"), options(files))[0] for _ in range(2)]
    assert runs[0].inputs == runs[1].inputs
    assert runs[0].preprocess == runs[1].preprocess
    assert runs[0].bucketing == runs[1].bucketing
    assert runs[0].weights.summary == runs[1].weights.summary
    for name, table in runs[0].weights.tables.items():
        assert np.array_equal(table, runs[1].weights.tables[name])


def test_the_file_is_read_once_and_written_once(files, tmp_path, monkeypatch):
    calls = []
    for name in ("load_config", "save_config"):
        function = getattr(fit, name)

        def note(*arguments, name=name, function=function):
            calls.append(name)
            return function(*arguments)

        monkeypatch.setattr(fit, name, note)
    prefix = str(tmp_path / "net")
    fit_statistics(changed(), prefix, options(files))
    assert calls == ["save_config"]
    calls.clear()
    fit_statistics(changed(selection="number > 3"), prefix, options(files))
    assert calls == ["load_config", "save_config"]
    calls.clear()
    nothing = changed(weights=None, bucketing=None, preprocess={"method": "manual"})
    fit_statistics(nothing, prefix, options(files))
    assert calls == []


def test_scan_and_pass_open_a_file_twice_and_the_loaders_only_to_read_rows(files, tmp_path, opens):
    config, scan = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    assert opens == dict.fromkeys(files, 2)
    train = train_loader(config, options(files), scan=scan)
    validation = val_loader(config, options(files), scan=scan)
    again = train_loader(config, options(files), seed=1, scan=scan)
    assert opens == dict.fromkeys(files, 2)
    for loader in (train, validation, again):
        opens.clear()
        assert sum(batch.size for batch in loader.epoch(0)) > 0
        assert opens == dict.fromkeys(files, 1)
    opens.clear()
    fit_statistics(changed(), str(tmp_path / "net"), options(files))
    assert opens == dict.fromkeys(files, 1)


def test_loaders_with_the_scan_deliver_what_they_deliver_without(files, tmp_path):
    config, scan = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    for loader in (train_loader, val_loader):
        with_scan = loader(config, options(files), scan=scan)
        without = loader(config, options(files))
        for one, other in zip(with_scan.epoch(0), without.epoch(0), strict=True):
            assert np.array_equal(one.inputs["event"], other.inputs["event"])


def test_a_scan_of_other_files_or_fewer_columns_is_not_used(files, tmp_path, opens):
    config, scan = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    opens.clear()
    train_loader(config, options(files[:1]), scan=scan)
    assert opens == {files[0]: 1}
    opens.clear()
    val_loader(config, options(files, data_val=files[1:]), scan=scan)
    assert opens == {files[1]: 1}
    opens.clear()
    missing = options(files, extra_selection_val="no_such_column > 3")
    with pytest.raises(DataError, match="no column 'no_such_column'"):
        val_loader(config, missing, scan=scan)


def test_an_extra_selection_of_the_training_counts_for_all_three(files, tmp_path):
    extra = "(number > 100) & (jets != 3)"
    config, _ = fit_statistics(
        changed(), str(tmp_path / "net"), options(files, extra_selection_train=extra)
    )
    jets = []
    met = []
    for path in files:
        table = ak.from_parquet(path)
        passed = (table.number % 7 != 0) & (table.number > 100) & (table.jets != 3)
        jets.append(table.jets[:720][passed[:720]].to_numpy())
        met.append(table.met[:216][passed[:216]].to_numpy())
    assert config.weights.summary.rows == len(np.concatenate(jets))
    edges = np.unique(np.quantile(np.concatenate(jets), [1 / 3, 2 / 3]))
    assert config.bucketing.inner_edges == tuple(edges)
    assert config.inputs["event"].variables[0].center == np.median(np.concatenate(met))


def test_a_network_that_goes_on_keeps_all_three_whatever_files_follow(files, tmp_path, opens):
    prefix = str(tmp_path / "net")
    first, _ = fit_statistics(changed(), prefix, options(files))
    saved = (tmp_path / "net.auto.yaml").read_text()
    other = options(files[:1], extra_selection_train="number > 100")
    kept, _ = fit_statistics(changed(), prefix, other, keep=True)
    assert kept.weights == first.weights
    assert kept.bucketing == first.bucketing
    assert kept.inputs == first.inputs
    assert (tmp_path / "net.auto.yaml").read_text() == saved
    anew, _ = fit_statistics(changed(), prefix, other)
    assert anew.weights != first.weights
    assert anew.inputs != first.inputs


def test_a_rank_whose_files_lie_elsewhere_looks_at_its_own(files, tmp_path, monkeypatch, opens):
    first, scan = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    fitted = fit._fit(changed(), str(tmp_path / "net.auto.yaml"), options(files), scan)
    copies = [shutil.copy(path, tmp_path) for path in files]
    opens.clear()
    monkeypatch.setattr(fit.distributed, "is_main", lambda: False)
    monkeypatch.setattr(fit.distributed, "broadcast_from_main", lambda _: (scan, fitted))
    other, own_scan = fit_statistics(changed(), str(tmp_path / "net"), options(copies))
    assert other.inputs == first.inputs
    assert [source.path for source in own_scan.sources] == copies
    assert opens == dict.fromkeys(copies, 1)


def test_the_log_says_what_was_found_in_which_order(files, tmp_path, caplog):
    caplog.set_level(logging.INFO, "weaver_tt")
    fit_statistics(changed(), str(tmp_path / "net"), options(files))
    places = [
        caplog.text.index(text)
        for text in (
            "weights of 2 classes from 1,234 rows",
            "buckets of jets from 1,234 rows, divided at 2, 4",
            "statistics of 3 variables from 370 rows",
            "weights: a row is drawn ",
        )
    ]
    assert places == sorted(places)
    assert caplog.text.count("weights: a row is drawn") == 1


def test_the_extra_selection_of_the_training_counts_in_all_three(files, tmp_path):
    # numbers 1 to 99 of each file that are no multiple of 7: 99 - 14
    some = options(files, extra_selection_train="number < 100")
    config, _ = fit_statistics(changed(), str(tmp_path / "net"), some)
    assert config.weights.summary.rows == 2 * 85
    rows = [number for number in range(100) if number % 7 != 0]
    jets = [ak.from_parquet(path).jets.to_numpy()[rows] for path in files]
    quantiles = np.quantile(np.concatenate(jets), [1 / 3, 2 / 3])
    assert config.bucketing.inner_edges == tuple(np.unique(quantiles))
    met = [ak.from_parquet(path).met.to_numpy()[rows] for path in files]
    event = config.inputs["event"].variables[0]
    # statistics use the first 216 of the 720 rows of each file, and so all that are selected
    assert event.center == np.median(np.concatenate(met))


@pytest.mark.parametrize("on_bad_file", ["stop", "skip"])
def test_a_file_that_breaks_in_the_pass_stops_the_training_or_is_skipped(
    files, tmp_path, monkeypatch, on_bad_file
):
    accumulate_file = training_pass._accumulate_file

    def break_first(accumulators, plans, totals, source, types, skip_bad):
        if source.path == files[0]:
            raise BadFileError("broken")
        return accumulate_file(accumulators, plans, totals, source, types, skip_bad)

    monkeypatch.setattr(training_pass, "_accumulate_file", break_first)
    broken = options(files, on_bad_file=on_bad_file)
    if on_bad_file == "stop":
        with pytest.raises(BadFileError, match="broken"):
            fit_statistics(changed(), str(tmp_path / "net"), broken)
        return
    config, scan = fit_statistics(changed(), str(tmp_path / "net"), broken)
    assert [lost.path for lost in scan.lost_in_statistics] == [files[0]]
    # of 720 rows in the other file, 103 are multiples of 7
    assert config.weights.summary.rows == 720 - 103


def test_own_functions_are_known_when_the_file_is_read_again(files, tmp_path, computed):
    own = tmp_path / "own.py"
    own.write_text("def shifted(x):\n    return x + 1\n")
    values = copy.deepcopy(YAML) | {"new_variables": {"mass": "shifted(met)", "logpt": "pt"}}
    config = from_mapping(values, "x.yaml", custom_functions=str(own))
    for expected in (["weights", "buckets", "statistics"], []):
        computed.clear()
        fit_statistics(config, str(tmp_path / "net"), options(files))
        assert computed == expected


def test_the_pass_reads_columns_with_the_types_of_the_scan(files, tmp_path, monkeypatch):
    given = []

    def spy(accumulators, sources, skip_bad, types):
        given.append(types)
        return accumulate(accumulators, sources, skip_bad, types)

    accumulate = fit.accumulate
    monkeypatch.setattr(fit, "accumulate", spy)
    _, scan = fit_statistics(changed(), str(tmp_path / "net"), options(files))
    assert given == [scan.types]
    assert str(scan.types["met"]) == "float64"
