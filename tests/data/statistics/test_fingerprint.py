"""Fingerprints stay what they are: else what older runs computed would all be out of date."""

from dataclasses import replace

from weaver_tt.config.load import from_mapping
from weaver_tt.data.chunks import Source
from weaver_tt.data.statistics.bucketing import BucketEdgesAccumulator
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
