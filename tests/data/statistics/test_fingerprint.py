"""Fingerprints stay what they are, and change with all that a result depends on."""

import os
from dataclasses import replace

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.chunks import Source
from weaver_tt.data.statistics.bucketing import BucketEdgesAccumulator
from weaver_tt.data.statistics.fingerprint import pass_config_fingerprint, pass_fingerprint
from weaver_tt.data.statistics.reweighting import WeightsAccumulator
from weaver_tt.data.statistics.standardize import StatisticsAccumulator, statistics_fingerprint

YAML = {
    "treename": "tree",
    "selection": "met > 0",
    "branch_magic": {"jet_": "Jet_"},
    "file_magic": {"xsec": {"a": 0.5}},
    "object_selection": {"jets": "jet_pt > 5"},
    "new_variables": {"logpt": "mine(jet_pt)", "unused": "met * 3"},
    "preprocess": {"method": "auto", "data_fraction": 0.5},
    "inputs": {
        "jets": {"length": 4, "vars": ["jet_pt", ["jet_eta", None], "logpt"]},
        "event": {"length": None, "vars": ["met", "xsec"]},
    },
    "labels": {"type": "simple", "value": ["isa", "isb"]},
    "weights": {
        "reweight_method": "ref",
        "reweight_vars": {"met": [0, 10, 20]},
        "reweight_classes": ["isa", "isb"],
        "class_weights": [1, 2],
        "reweight_basewgt": "abs(met)",
    },
    "bucketing": {"var": "met", "bins": 4},
}
# files behind URLs count by path and rows, so that the hash is the same everywhere
SOURCES = [Source(0, "root://host//a.root", (0, 10, 20)), Source(1, "root://host//b.root", (5, 7))]


def test_the_same_configuration_and_files_have_the_fingerprints_that_they_always_had(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def mine(x):\n    return 2 * x\n")
    config = from_mapping(YAML, "data.yaml", custom_functions=str(own))
    prints = {
        "weights": WeightsAccumulator(config, config.weights, SOURCES, remake=True).fingerprint,
        "buckets": BucketEdgesAccumulator(config, config.bucketing, SOURCES).fingerprint,
        "statistics": StatisticsAccumulator(config, SOURCES, "met < 9").fingerprint,
    }
    assert prints == {
        "weights": "dcde8b88496baf90-d5543f07627c935e",
        "buckets": "4ce2ad29dd18c703-d5543f07627c935e",
        "statistics": "097b2497193bdfe1-85bfac9290e69bcd",
    }
    assert statistics_fingerprint(config, SOURCES, "met < 9") == prints["statistics"]
    # where clusters begin inside the rows that are used does not matter
    plain = [replace(SOURCES[0], borders=(0, 20)), SOURCES[1]]
    assert StatisticsAccumulator(config, plain, "met < 9").fingerprint == prints["statistics"]


PLAIN = {
    "inputs": {
        "jets": {"length": 4, "vars": ["jet_pt"]},
        "event": {"length": None, "vars": ["met"]},
    },
}
PRECOMPUTED = {"use_precomputed_weights": True, "weight_branches": ["mine(met)"]}
TABLES = {
    "reweight_method": "flat",
    "reweight_vars": {"met": [0, 1, 2]},
    "reweight_classes": ["isa", "isb"],
}


def config_fingerprint(custom_functions=None, **changes):
    config = from_mapping({**PLAIN, **changes}, "data.yaml", custom_functions=custom_functions)
    return pass_config_fingerprint(config, [])


@pytest.mark.parametrize(
    "use",
    [
        {"selection": "mine(met) > 0"},
        {"selection": "(met > 0) & (np.sqrt(mine(met)) > 1)"},
        {"object_selection": {"jets": "mine(jet_pt) > 5"}},
        {"weights": PRECOMPUTED},
        {"weights": {**TABLES, "reweight_basewgt": "mine(met)"}},
        {"weights": {**TABLES, "reweight_method": "target", "target": "np.exp(mine(met))"}},
        {
            "new_variables": {"a": "mine(met)"},
            "inputs": {"event": {"length": None, "vars": ["a"]}},
        },
    ],
    ids=["selection", "inside", "objects", "branches", "base", "target", "variable"],
)
def test_the_code_of_own_functions_matters_wherever_one_is_called(tmp_path, use):
    file = tmp_path / "own.py"
    prints = []
    for code in ("return x", "return 2 * x"):
        file.write_text(f"def mine(x):\n    {code}\n")
        prints.append(config_fingerprint(str(file), **use))
    assert prints[0] != prints[1]


def test_a_function_of_ones_own_may_have_the_name_of_a_listed_one(tmp_path):
    file = tmp_path / "own.py"
    prints = []
    for code in ("return x", "return 2 * x"):
        file.write_text(f"def abs(x):\n    {code}\n")
        prints.append(config_fingerprint(str(file), selection="abs(met) > 0"))
        prints.append(config_fingerprint(str(file), selection="round(met) > 0"))
    assert prints[0] != prints[2]
    assert prints[1] == prints[3]


def test_the_columns_that_an_object_selection_filters_matter():
    selections = [
        {"jets": {"selection": "jet_pt > 5", "columns": columns}}
        for columns in (["jet_pt"], ["jet_pt", "jet_mass"])
    ]
    prints = {config_fingerprint(object_selection=selection) for selection in selections}
    assert len(prints) == 2


def test_first_and_last_row_size_and_time_of_change_of_a_file_matter(tmp_path):
    config = from_mapping(PLAIN, "data.yaml")
    file = tmp_path / "a.root"

    def fingerprint(first, last):
        return pass_fingerprint(config, [Source(0, str(file), (first, 10, last))], [])

    def write(text, time):
        file.write_text(text)
        os.utime(file, ns=(time, time))

    write("one", 1)
    before = fingerprint(0, 20)
    assert fingerprint(0, 20) == before
    assert fingerprint(1, 20) != before
    assert fingerprint(0, 19) != before
    write("four", 1)
    assert fingerprint(0, 20) != before
    write("one", 2)
    assert fingerprint(0, 20) != before
    write("one", 1)
    assert fingerprint(0, 20) == before


def test_an_extra_selection_counts_among_the_files():
    config = from_mapping(PLAIN, "data.yaml")
    remote = [Source(0, "root://host//a.root", (0, 20))]
    plain = pass_fingerprint(config, remote, [])
    extra = pass_fingerprint(config, remote, [], "met > 3")
    assert plain != extra
    assert plain.split("-")[0] == extra.split("-")[0]
