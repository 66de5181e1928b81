"""Classes, targets of rows and targets of objects in one batch, worked out by hand."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.data.loaders import test_loaders as prediction_loaders
from weaver_tt.data.loaders import train_loader, val_loader
from weaver_tt.data.rows.labels import WantedLabels
from weaver_tt.errors import DataError
from weaver_tt.options.train import DataOptions

# five rows with up to three jets, of which two fit, and up to two tracks
COLUMNS = {
    "number": np.arange(5),
    "isb": np.array([1, 0, 0, 1, 0]),
    "isl": np.array([0, 1, 1, 0, 1]),
    "met": np.array([10.0, 20.0, 40.0, 50.0, 80.0]),
    "truth": np.array([20.0, 10.0, -1.0, 100.0, 40.0]),
    "pt": ak.Array([[1.0, 2.0, 3.0], [], [4.0], [5.0, 6.0], [7.0]]),
    "score": ak.Array([[0.9, 0.1, 0.8], [], [0.7], [0.2, 0.6], [0.3]]),
    "d0": ak.Array([[0.5], [0.25, 0.125], [], [2.0], []]),
    "origin": ak.Array([[-3.0], [2.0, 0.5], [], [1.0], []]),
}
INPUTS = {
    "jets": {"length": 2, "vars": [["pt", None]]},
    "tracks": {"length": 2, "vars": [["d0", None]]},
    "event": {"length": None, "vars": [["number", None]]},
}
LABELS = [
    {"type": "simple", "value": ["isb", "isl"]},
    {"type": "custom", "value": {"y": "truth / met", "y_mask": "truth > 0"}},
    {"type": "per_object", "group": "jets", "value": {"tag": "score > 0.5", "twice": "2 * pt"}},
    {"type": "per_object", "group": "tracks", "value": ["origin"]},
]
WANTED = WantedLabels(binary=frozenset({"tag"}))
CLASS = [0, 1, 1, 0, 1]
Y = [2.0, 0.5, -0.025, 2.0, 0.5]
TAG = [[1, 0], [0, 0], [1, 0], [0, 1], [0, 0]]
TWICE = [[2, 4], [0, 0], [8, 0], [10, 12], [14, 0]]
ORIGIN = [[-3, 0], [2, 0.5], [0, 0], [1, 0], [0, 0]]
NAMES = ["_label_", "y", "y_mask", "tag", "twice", "origin"]


def config(**more):
    return from_mapping({"inputs": INPUTS, "labels": LABELS, **more}, "mixed.yaml")


def write(path, *without, **columns) -> str:
    """A parquet file of the five rows, with columns replaced or left out."""
    content = {**COLUMNS, **columns}
    for name in without:
        del content[name]
    ak.to_parquet(ak.Array(content), path)
    return str(path)


def validation(path: str, conf=None, wanted=WANTED, **options):
    data = DataOptions(data_train=[path], data_val=[path], **{"batch_size": 5, **options})
    return val_loader(conf or config(), data, wanted_labels=wanted)


def test_a_batch_holds_labels_of_every_kind(tmp_path):
    loader = validation(write(tmp_path / "a.parquet"))
    [batch] = loader.epoch(0)
    assert sorted(batch.labels) == sorted(NAMES) == sorted(config().label_names)
    labels = batch.labels
    assert (labels["_label_"].dtype, labels["_label_"].tolist()) == (torch.int64, CLASS)
    assert labels["y"].tolist() == pytest.approx(Y)
    assert labels["y_mask"].tolist() == [1, 1, 0, 1, 1]
    assert labels["tag"].tolist() == TAG
    assert labels["twice"].tolist() == TWICE
    assert labels["origin"].tolist() == ORIGIN
    # of the six jets that fit into their row, three are tagged; classes are counted beside them
    assert loader.accounting.targets == {"isb": 2, "isl": 3, "tag = 0": 3, "tag = 1": 3}


@pytest.mark.parametrize("workers", [0, 1])
def test_shuffled_rows_keep_their_labels(tmp_path, workers):
    path = write(tmp_path / "a.parquet")
    data = DataOptions(data_train=[path], data_val=[path], batch_size=2, num_workers=workers)
    loader = train_loader(config(), data, seed=3, wanted_labels=WANTED)
    seen = []
    for batch in loader.epoch(0):
        for row, number in enumerate(batch.inputs["event"][:, 0].int().tolist()):
            assert batch.labels["_label_"][row] == CLASS[number]
            assert batch.labels["y"][row].item() == pytest.approx(Y[number])
            assert batch.labels["tag"][row].tolist() == TAG[number]
            assert batch.labels["origin"][row].tolist() == ORIGIN[number]
            seen.append(number)
    # whole batches of two only
    assert len(seen) == len(set(seen)) == 4
    assert loader.accounting.targets == {"isb": 2, "isl": 3, "tag = 0": 3, "tag = 1": 3}


def test_row_weights_stay_with_mixed_labels(tmp_path):
    weights = {
        "use_precomputed_weights": True,
        "weight_branches": ["1 + isb"],
        "mode": "loss",
        "measured": {"rows": 5, "mean": 1.4, "kept": 1},
    }
    conf = config(event_weight="met / 10", weights=weights)
    path = write(tmp_path / "a.parquet")
    # validation has event weights alone
    [batch] = validation(path, conf).epoch(0)
    assert batch.weight.tolist() == [1, 2, 4, 5, 8]
    data = DataOptions(data_train=[path], data_val=[path], batch_size=5)
    [batch] = train_loader(conf, data, seed=1, wanted_labels=WANTED).epoch(0)
    order = batch.inputs["event"][:, 0].int().tolist()
    # 2 for the class isb and 1 for the other, over their mean of 1.4
    expected = [value / 1.4 for value in (1 * 2, 2, 4, 5 * 2, 8)]
    assert batch.weight.tolist() == pytest.approx([expected[number] for number in order])
    assert batch.labels["_label_"].tolist() == [CLASS[number] for number in order]
    assert batch.labels["tag"].tolist() == [TAG[number] for number in order]


def test_classes_that_sampling_leaves_out_take_their_targets_along(tmp_path):
    weights = {
        "use_precomputed_weights": True,
        "weight_branches": ["isb"],
        "measured": {"rows": 5, "mean": 0.4, "kept": 1},
    }
    path = write(tmp_path / "a.parquet")
    data = DataOptions(data_train=[path], data_val=[path], batch_size=2, steps_per_epoch=3)
    loader = train_loader(config(weights=weights), data, seed=1, wanted_labels=WANTED)
    for batch in loader.epoch(0):
        # rows 0 and 3 alone have a weight
        assert batch.labels["_label_"].tolist() == [0, 0]
        assert batch.labels["y"].tolist() == pytest.approx([2.0, 2.0])
        assert sorted(batch.labels["tag"].tolist()) == [[0, 1], [1, 0]]
    assert loader.accounting.targets.keys() == {"isb", "isl", "tag = 0", "tag = 1"}
    assert loader.accounting.targets["isl"] == 0


def test_prediction_has_the_labels_that_the_files_have(tmp_path):
    def labels(name, *without):
        data = DataOptions(data_test=[write(tmp_path / name, *without)], batch_size=5)
        [loader] = prediction_loaders(config(), data, wanted_labels=WANTED).values()
        [batch] = loader.epoch(0)
        return batch.labels

    assert sorted(labels("all.parquet")) == sorted(NAMES)
    assert labels("none.parquet", "isb", "isl", "truth", "score", "origin") == {}
    # each kind, and each group of objects, stands or falls as one
    classes = labels("classes.parquet", "truth", "score", "origin")
    assert {name: values.tolist() for name, values in classes.items()} == {"_label_": CLASS}
    assert sorted(labels("others.parquet", "isb", "score")) == ["origin", "y", "y_mask"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isb": np.ones(5)}, "labels isb, isl: of 5 selected rows, 3 belong to several"),
        (
            {"score": ak.Array([[1.0], [], [1.0], [1.0], [1.0]])},
            "label 'tag' has 1 object in row 0 where 'pt' has 3",
        ),
        ({"origin": np.ones(5)}, "label 'origin' is per object, but 'origin' has one value for"),
        ({"truth": COLUMNS["pt"]}, "label 'y': expected one value for each row"),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        list(validation(write(tmp_path / "a.parquet", **changes)).epoch(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isb": np.zeros(5), "isl": np.ones(5)}, "all 5 training entries are 'isl'"),
        ({"score": COLUMNS["pt"]}, "all 6 training entries are 'tag = 1', none is 'tag = 0'"),
    ],
)
def test_labels_of_which_nothing_can_be_learnt_are_refused(tmp_path, changes, message):
    path = write(tmp_path / "a.parquet", **changes)
    data = DataOptions(data_train=[path], data_val=[path], batch_size=2)
    with pytest.raises(DataError, match=message):
        list(train_loader(config(), data, wanted_labels=WANTED).epoch(0))


def test_a_masked_target_need_not_be_binary_where_it_does_not_count(tmp_path):
    labels = [LABELS[0], {"type": "custom", "value": {"good": "g", "good_mask": "g >= 0"}}]
    wanted = WantedLabels(binary=frozenset({"good"}))
    path = write(tmp_path / "a.parquet", g=np.array([1.0, 0.0, -1.0, math.nan, 1.0]))
    loader = validation(path, config(labels=labels), wanted)
    assert len(list(loader.epoch(0))) == 1
    assert loader.accounting.targets == {"isb": 2, "isl": 3, "good = 0": 1, "good = 1": 2}
