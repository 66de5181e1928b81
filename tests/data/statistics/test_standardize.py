"""Statistics of training data: right, bounded, cached under what matters.

And found from any file of the model.
"""

import logging
import os
import pickle

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping, load_config, save_config
from weaver_tt.data.chunks import Source
from weaver_tt.data.statistics import fit, training_pass
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.data.statistics.standardize import (
    StatisticsAccumulator,
    auto_names,
    center_and_spread,
    flat_values,
    load_statistics,
    statistics_config_fingerprint,
    statistics_fingerprint,
)
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import TerminalHandler
from weaver_tt.options.train import DataOptions

YAML = {
    "selection": "met > 0",
    "new_variables": {"logpt": "np.log(jet_pt)", "unused": "met * 3"},
    "preprocess": {"method": "auto"},
    "inputs": {
        "jets": {
            "length": 4,
            "vars": [
                "jet_pt",
                ["jet_eta", None],
                ["logpt", "auto", 1, -2, 2, 0],
                ["jet_phi", 0.5, 2],
            ],
        },
        "event": {"length": None, "vars": ["met"]},
        "jets_mask": {"length": 4, "vars": ["jet_one"]},
    },
    "labels": {"type": "simple", "value": ["isa", "isb"]},
    "observers": ["number"],
}


def changed(**changes):
    return from_mapping({**YAML, **changes}, "data.yaml")


def write(path, rows=1000, seed=1):
    """A parquet file whose jets are uniform in pT and whose met is the row's number, 0 first."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 5, rows)
    ranges = {"pt": (1, 101), "eta": (-2, 2), "phi": (-3, 3)}
    jets = {
        name: ak.unflatten(random.uniform(*edges, counts.sum()), counts)
        for name, edges in ranges.items()
    }
    table = {f"jet_{name}": values for name, values in jets.items()} | {
        "jet_one": ak.ones_like(jets["pt"])
    }
    table |= {
        "met": np.arange(rows, dtype=float),
        "isa": np.arange(rows) % 2,
        "isb": 1 - np.arange(rows) % 2,
        "number": np.arange(rows),
    }
    ak.to_parquet(ak.zip(table, depth_limit=1), str(path), row_group_size=300)
    return table


def options(*files, **more):
    return DataOptions(data_train=[str(file) for file in files], **{"train_val_split": 1.0, **more})


def fitted(config, prefix, data):
    return fit_statistics(config, prefix, data)[0]


def numbers(values):
    low, center, high = np.percentile(values, [16, 50, 84])
    return center, 1 / max(high - center, center - low)


def test_center_is_the_median_and_scale_one_over_the_wider_side_of_the_selected_rows(tmp_path):
    table = write(tmp_path / "a.parquet")
    config = fitted(changed(), str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    jets = {variable.name: variable for variable in config.inputs["jets"].variables}
    pt = ak.to_numpy(ak.flatten(table["jet_pt"][1:]))  # row 0 has met 0
    assert (jets["jet_pt"].center, jets["jet_pt"].scale) == pytest.approx(numbers(pt))
    assert (jets["logpt"].center, jets["logpt"].scale) == pytest.approx(numbers(np.log(pt)))
    assert (jets["logpt"].low, jets["logpt"].high) == (-2, 2)
    assert (jets["jet_eta"].center, jets["jet_phi"].center, jets["jet_phi"].scale) == (None, 0.5, 2)
    met = config.inputs["event"].variables[0]
    assert (met.center, met.scale) == pytest.approx((500, 1 / (0.34 * 998)))  # 1, 2 ... 999
    assert config.inputs["jets_mask"].variables[0].center is None
    assert not config.needs_statistics


def test_only_the_training_share_of_the_rows_counts(tmp_path):
    write(tmp_path / "a.parquet")
    source = options(tmp_path / "a.parquet", train_val_split=0.5, data_fraction=0.5)
    met = fitted(changed(), str(tmp_path / "net"), source).inputs["event"].variables[0]
    assert met.center == pytest.approx(125)  # rows 1 ... 249


def test_a_share_of_the_data_is_taken_from_all_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 100)
    write(tmp_path / "a.parquet")
    config = changed(preprocess={"method": "auto", "data_fraction": 0.1})
    met = (
        fitted(config, str(tmp_path / "net"), options(tmp_path / "a.parquet"))
        .inputs["event"]
        .variables[0]
    )
    assert met.center == pytest.approx(
        np.median([100 * part + row for part in range(10) for row in range(10)][1:])
    )


def test_beyond_its_capacity_the_sample_is_still_close(tmp_path):
    write(tmp_path / "a.parquet", 20_000)
    sources = [Source(0, str(tmp_path / "a.parquet"), (0, 20_000))]
    statistics = StatisticsAccumulator(changed(), sources, capacity=2_000)
    training_pass.accumulate([statistics], sources, skip_bad=False)
    found = statistics.result()
    assert found["met"].center == pytest.approx(10_000, abs=4 * 0.5 / np.sqrt(2000) * 20_000)
    assert found["jet_pt"].center == pytest.approx(51, abs=5)


def test_values_that_are_not_finite_do_not_count_and_equal_ones_have_scale_1(tmp_path):
    ak.to_parquet(
        ak.Array({"x": [np.nan, 1.0, 2.0, 3.0, np.inf, -np.inf], "same": [7] * 6}),
        str(tmp_path / "a.parquet"),
    )
    config = from_mapping(
        {
            "preprocess": {"method": "auto"},
            "inputs": {"event": {"length": None, "vars": ["x", "same"]}},
        },
        "data.yaml",
    )
    x, same = (
        fitted(config, str(tmp_path / "net"), options(tmp_path / "a.parquet"))
        .inputs["event"]
        .variables
    )
    assert x.center == 2
    assert x.scale == pytest.approx(1 / 0.68)  # p84 of 1, 2, 3 is 2.68
    assert (same.center, same.scale) == (7, 1)


def test_a_variable_without_a_finite_value_and_a_selection_without_a_row_are_errors(tmp_path):
    ak.to_parquet(ak.Array({"x": [np.nan, np.inf]}), str(tmp_path / "a.parquet"))
    yaml = {"preprocess": {"method": "auto"}, "inputs": {"event": {"length": None, "vars": ["x"]}}}
    with pytest.raises(ConfigError, match="'x' has no finite value"):
        fitted(
            from_mapping(yaml, "data.yaml"), str(tmp_path / "net"), options(tmp_path / "a.parquet")
        )
    with pytest.raises(DataError, match="no row of the training data passes the selection"):
        fitted(
            from_mapping({**yaml, "selection": "x < 0"}, "data.yaml"),
            str(tmp_path / "net"),
            options(tmp_path / "a.parquet"),
        )
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_objects_that_fail_their_selection_do_not_count(tmp_path):
    table = write(tmp_path / "a.parquet")
    config = changed(object_selection={"jets": "jet_pt > 50"})
    pt = ak.to_numpy(ak.flatten(table["jet_pt"][1:]))
    found = (
        fitted(config, str(tmp_path / "net"), options(tmp_path / "a.parquet"))
        .inputs["jets"]
        .variables[0]
    )
    assert (found.center, found.scale) == pytest.approx(numbers(pt[pt > 50]))


def test_statistics_are_computed_once_and_again_when_something_that_matters_changes(
    tmp_path, caplog
):
    file, prefix = tmp_path / "a.parquet", str(tmp_path / "net")
    write(file)
    caplog.set_level(logging.INFO, "weaver_tt")

    def computed(config, source=None):
        caplog.clear()
        fitted(config, prefix, source or options(file))
        return "computed anew" in caplog.text

    assert not computed(changed())
    assert "from 999 rows" in caplog.text
    assert not computed(changed())
    assert "up to date" in caplog.text
    assert not computed(
        changed(observers=["met"], labels={"type": "custom", "value": {"y": "met"}})
    )
    assert load_config(f"{prefix}.auto.yaml").observers == (
        "met",
    )  # the file follows the configuration all the same
    assert computed(changed(selection="met > 10"))
    assert computed(changed(new_variables={"logpt": "np.log10(jet_pt)"}))
    assert computed(changed())
    assert computed(changed(), options(file, data_fraction=0.9))
    assert computed(changed())
    write(file, seed=2)
    assert computed(changed())
    os.utime(file, ns=(1, 1))
    assert computed(changed())


def test_numbers_of_each_variable_are_logged_but_not_shown_on_a_terminal(tmp_path, caplog):
    write(tmp_path / "a.parquet")
    caplog.set_level(logging.INFO, "weaver_tt")
    fitted(changed(), str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    shown = {
        record.getMessage(): TerminalHandler().filter(record)
        for record in caplog.records
        if record.getMessage().startswith(("statistics of", "  met"))
    }
    assert list(shown.values()) == [True, False]
    assert list(shown)[1].startswith("  met: center 500, scale 1 / ")


def test_an_extra_selection_of_the_training_counts_and_prediction_need_not_repeat_it(
    tmp_path, caplog
):
    write(tmp_path / "a.parquet")
    prefix = str(tmp_path / "net")
    with caplog.at_level(logging.INFO, "weaver_tt"):
        plain = fitted(changed(), prefix, options(tmp_path / "a.parquet"))
        fewer = fitted(
            changed(), prefix, options(tmp_path / "a.parquet", extra_selection_train="met < 101")
        )
    assert "computed anew" in caplog.text
    caplog.clear()
    assert [config.inputs["event"].variables[0].center for config in (plain, fewer)] == [
        500.0,
        50.5,
    ]
    assert load_statistics(changed(), prefix).inputs == fewer.inputs
    assert caplog.text == ""


def test_the_fingerprint_follows_files_and_rows(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.parquet", 20)
    one, other = (Source(0, str(tmp_path / f"{name}.parquet"), (0, 20)) for name in "ab")
    prints = [
        statistics_fingerprint(changed(), sources)
        for sources in ([one], [other], [one, other], [Source(0, one.path, (0, 19))])
    ]
    assert len(set(prints)) == 4
    assert len({value.split("-")[0] for value in prints}) == 1
    remote = Source(0, "root://host//a.root", (0, 20))
    assert statistics_fingerprint(changed(), [remote]) == statistics_fingerprint(
        changed(), [remote]
    )


@pytest.mark.parametrize(
    ("changes", "matters"),
    [
        ({"new_variables": {**YAML["new_variables"], "unused": "met * 4"}}, False),
        ({"event_weight": "met"}, False),
        ({"branch_magic": {"nothing": "else"}}, False),
        ({"monitor_variables": ["met"]}, False),
        ({"task": "classification"}, False),
        ({"branch_magic": {"jet_": "Jet_"}}, True),
        ({"object_selection": {"jets": "jet_pt > 5"}}, True),
        ({"treename": "events"}, True),
        ({"preprocess": {"method": "auto", "data_fraction": 0.5}}, True),
        ({"file_magic": {"met": {"a": 1}}}, True),
    ],
)
def test_the_fingerprint_is_of_what_matters_only(changes, matters):
    assert (
        statistics_config_fingerprint(changed(**changes))
        != statistics_config_fingerprint(changed())
    ) is matters


def test_the_code_of_own_functions_matters_where_they_are_called(tmp_path):
    file = tmp_path / "own.py"

    def prints(variable):
        values = {**YAML, "new_variables": {"logpt": variable, "unused": "mine(met)"}}
        return statistics_config_fingerprint(
            from_mapping(values, "data.yaml", custom_functions=str(file))
        )

    file.write_text("def mine(x):\n    return x\n")
    before = prints("mine(jet_pt)"), prints("np.log(jet_pt)")
    file.write_text("def mine(x):\n    return 2 * x\n")
    after = prints("mine(jet_pt)"), prints("np.log(jet_pt)")
    assert before[0] != after[0]
    assert before[1] == after[1]


STATES = ["_best_epoch_state.pt", "_epoch-12_state.pt", "_member-3_best_epoch_state.pt"]


@pytest.mark.parametrize("model", ["", *STATES, "_member-0", "_resume.pt", ".onnx"])
def test_statistics_are_found_from_any_file_of_the_model(tmp_path, model):
    write(tmp_path / "a.parquet", 50)
    trained = fitted(changed(), str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    found = load_statistics(changed(), str(tmp_path / f"net{model}"))
    assert found.inputs == trained.inputs
    assert found.preprocess == trained.preprocess


def test_auto_without_statistics_is_an_error_that_names_variables_and_files(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"jet_pt, logpt, met: 'auto' needs the statistics "
        ".*/net_member-1.auto.yaml or .*net.auto.yaml",
    ):
        load_statistics(changed(), str(tmp_path / "net_member-1_best_epoch_state.pt"))
    manual = from_mapping(
        {
            **YAML,
            "preprocess": {"method": "manual"},
            "inputs": {"jets": {"length": 4, "vars": ["jet_pt"]}},
        },
        "data.yaml",
    )
    assert load_statistics(manual, str(tmp_path / "net")) is manual


def test_statistics_of_another_configuration_are_warned_about_or_refused(tmp_path, caplog):
    write(tmp_path / "a.parquet", 50)
    fitted(changed(), str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    caplog.set_level(logging.WARNING, "weaver_tt")
    load_statistics(changed(new_variables={"logpt": "np.log10(jet_pt)"}), str(tmp_path / "net"))
    assert "trained with other variables" in caplog.text
    more = {**YAML["inputs"], "event": {"length": None, "vars": ["met", "extra"]}}
    with pytest.raises(
        ConfigError,
        match=r"inputs.event: 'extra' is auto, but the model's statistics have no number",
    ):
        load_statistics(changed(inputs=more), str(tmp_path / "net"))


def test_statistics_that_weaver_wrote_have_no_fingerprint_and_are_not_warned_about(
    tmp_path, caplog
):
    write(tmp_path / "a.parquet", 50)
    trained = fitted(changed(), str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    path = tmp_path / "net.auto.yaml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "fingerprint" not in line))
    caplog.set_level(logging.WARNING, "weaver_tt")
    assert load_statistics(changed(), str(tmp_path / "net")).inputs == trained.inputs
    assert caplog.text == ""


def test_names_are_those_of_auto_variables_once_each():
    assert auto_names(changed()) == ["jet_pt", "logpt", "met"]


def test_a_damaged_file_stops_the_run_or_is_skipped(tmp_path):
    write(tmp_path / "a.parquet", 100)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:200])
    both = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet"):
        fitted(changed(), str(tmp_path / "net"), options(*both))
    met = (
        fitted(changed(), str(tmp_path / "net"), options(*both, on_bad_file="skip"))
        .inputs["event"]
        .variables[0]
    )
    assert met.center == 50


def test_ranks_other_than_the_first_only_read_and_hear_of_failures(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", 50)
    source = options(tmp_path / "a.parquet")
    sent = []
    monkeypatch.setattr(
        fit.distributed, "broadcast_from_main", lambda value: sent.append(value) or value
    )
    first, scan = fit_statistics(changed(), str(tmp_path / "net"), source)
    monkeypatch.setattr(fit.distributed, "is_main", lambda: False)
    monkeypatch.setattr(
        fit.distributed, "broadcast_from_main", lambda _: pickle.loads(pickle.dumps(sent[0]))
    )
    monkeypatch.setattr(fit, "_fit", lambda *_: pytest.fail("rank 1 computes"))
    other, other_scan = fit_statistics(changed(), str(tmp_path / "net"), source)
    assert not other.needs_statistics
    assert (other.inputs, other.preprocess) == (first.inputs, first.preprocess)
    assert other_scan == scan
    monkeypatch.setattr(
        fit.distributed, "broadcast_from_main", lambda _: DataError("rank 0 said so")
    )
    with pytest.raises(DataError, match="rank 0 said so"):
        fitted(changed(), str(tmp_path / "net"), source)


def test_which_variables_are_auto_matters_even_if_the_columns_are_the_same():
    # met is read for the selection in any case
    manual = {**YAML["inputs"], "event": {"length": None, "vars": [["met", None]]}}
    assert statistics_config_fingerprint(changed(inputs=manual)) != statistics_config_fingerprint(
        changed()
    )


def test_a_members_own_statistics_come_before_those_of_the_run(tmp_path):
    centers = {"net": 1.0, "net_member-1": 2.0}
    for name, center in centers.items():
        params = {name: {"center": center, "scale": 1.0} for name in ("jet_pt", "logpt", "met")}
        own = changed(preprocess={"method": "auto", "params": params})
        save_config(own, str(tmp_path / f"{name}.auto.yaml"), own.preprocess.params, None)
    found = {
        model: load_statistics(changed(), str(tmp_path / model)).inputs["event"].variables[0].center
        for model in ("net", "net_member-1", "net_member-1.onnx", "net_member-2_resume.pt")
    }
    assert found == {
        "net": 1.0,
        "net_member-1": 2.0,
        "net_member-1.onnx": 2.0,
        "net_member-2_resume.pt": 1.0,
    }


def test_a_column_may_hold_flags_and_missing_values_but_no_text():
    assert flat_values(np.array([True, False]), "x").tolist() == [1, 0]
    values = flat_values(ak.Array([[1.0, None], [], [3.0]]), "x")
    assert np.array_equal(values, [1, np.nan, 3], equal_nan=True)
    with pytest.raises(DataError, match="input variable 'x': expected numbers, found"):
        flat_values(ak.Array(["a", "b"]).to_numpy(), "x")


def test_prediction_knows_the_own_functions_that_the_training_used(tmp_path):
    write(tmp_path / "a.parquet", 50)
    (tmp_path / "own.py").write_text("def mine(x):\n    return 2 * x\n")
    values = {**YAML, "new_variables": {"logpt": "mine(jet_pt)"}}
    own = from_mapping(values, "data.yaml", custom_functions=str(tmp_path / "own.py"))
    trained = fitted(own, str(tmp_path / "net"), options(tmp_path / "a.parquet"))
    assert load_statistics(own, str(tmp_path / "net")).inputs == trained.inputs


def test_a_width_of_rounding_alone_is_none():
    twelve = np.float32(12)
    above = np.nextafter(twelve, np.float32(13))  # by 9.5e-7
    radius = np.where(np.arange(100) < 30, above, twelve)
    assert center_and_spread(radius) == (12, 1)
    # a hundred times as wide is a width, around 0 any is
    center, spread = center_and_spread(np.where(np.arange(100) < 30, 12.0001, 12.0))
    assert (center, spread) == (12, pytest.approx(1e-4))
    assert center_and_spread(np.array([-1e-9, 0, 1e-9]))[1] == pytest.approx(6.8e-10)
