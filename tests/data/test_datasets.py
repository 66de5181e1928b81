"""Batches of any files in a loop of one's own."""

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from torch.utils.data import DataLoader

from weaver_tt.config.load import from_mapping
from weaver_tt.data.datasets import BatchDataset
from weaver_tt.errors import ConfigError, DataError

# a machine may have fewer cores than a test asks for workers
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

ROWS = 50
YAML = {
    "inputs": {
        "particles": {"length": 4, "vars": [["part_pt", None]]},
        "event": {"length": None, "vars": [["number", None]]},
    },
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "observers": ["number"],
    "event_weight": "number * 0 + 2",
}


@pytest.fixture
def file(tmp_path):
    """Fifty rows with their number, 0 to 4 particles, and a class that alternates."""
    rows = np.arange(ROWS)
    counts = rows % 5
    columns = {
        "number": rows.astype(np.float32),
        "part_pt": ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts),
        "is_a": (rows % 2).astype(np.int32),
        "is_b": (1 - rows % 2).astype(np.int32),
    }
    path = tmp_path / "rows.root"
    kinds = {key: ak.type(ak.Array(value)).content for key, value in columns.items()}
    with uproot.recreate(path) as out:
        out.mktree("tree", kinds, counter_name=lambda key: "n" + key).extend(columns)
    return path


@pytest.fixture
def config():
    return from_mapping(YAML, "d.yaml")


def numbers(batches):
    """The rows that batches hold, in order."""
    return [int(number) for batch in batches for number in batch.inputs["event"][:, 0]]


def test_rows_come_in_order_with_observers_and_labels(config, file):
    dataset = BatchDataset(config, file, batch_size=20)
    batches = list(dataset)
    assert [batch.size for batch in batches] == [20, 20, 10]
    assert numbers(batches) == list(range(ROWS))
    assert batches[1].observers["number"].tolist() == list(range(20, 40))
    assert batches[1].labels["_label_"].tolist() == [1, 0] * 10
    assert batches[1].weight.tolist() == [2.0] * 20
    assert batches[2].masks["particles"].sum(1).tolist() == [0, 1, 2, 3, 4] * 2
    assert dataset.accounting.selected.total() == ROWS


def test_batches_that_are_kept_are_not_written_over(config, file):
    first, second = (
        batch.inputs["particles"] for batch in list(BatchDataset(config, file))[:1] * 2
    )
    assert torch.equal(first, second)
    batches = list(BatchDataset(config, file, batch_size=10))
    assert len({batch.inputs["particles"].data_ptr() for batch in batches}) == 5
    assert len({batch.labels["_label_"].data_ptr() for batch in batches}) == 5


def test_shuffled_rows_come_once_in_an_order_that_the_epoch_decides(config, file):
    dataset = BatchDataset(config, file, batch_size=10, shuffle=True, seed=1)
    first, again = numbers(dataset), numbers(dataset)
    dataset.set_epoch(1)
    second = numbers(dataset)
    assert first == again != second != list(range(ROWS))
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert numbers(BatchDataset(config, file, batch_size=10, shuffle=True, seed=2)) != first


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_worker_processes_share_the_rows(config, file, shuffle, workers):
    dataset = BatchDataset(config, file, batch_size=5, shuffle=shuffle)
    batches = list(DataLoader(dataset, batch_size=None, num_workers=workers))
    found = numbers(batches)
    assert len(found) == len(set(found))
    if shuffle:
        # a worker leaves out its last batch where that is not full
        assert len(found) > ROWS - 5 * workers
    else:
        assert sorted(found) == list(range(ROWS))
    for batch in batches:
        assert batch.labels["_label_"].tolist() == [(n + 1) % 2 for n in numbers([batch])]


def test_a_worker_without_rows_gives_no_batches(config, file):
    dataset = BatchDataset(config, file, extra_selection="number < 1")
    loader = DataLoader(dataset, batch_size=None, num_workers=3)
    assert numbers(loader) == [0]
    with pytest.raises(DataError, match="drops all of them"):
        list(BatchDataset(config, file, extra_selection="number < 0"))


def test_what_training_computes_has_to_be_there(file):
    auto = YAML | {"preprocess": {"method": "auto"}}
    auto["inputs"] = {"particles": {"length": 4, "vars": ["part_pt"]}}
    with pytest.raises(ConfigError, match=r"centers that are auto have no numbers yet; .*fit_stat"):
        BatchDataset(from_mapping(auto, "d.yaml"), file)


def test_a_missing_file_or_column_is_told_at_once(config, file):
    with pytest.raises(DataError, match=r"row\.root"):
        BatchDataset(config, file.with_name("row.root"))
    other = from_mapping(YAML | {"observers": ["nunber"]}, "d.yaml")
    with pytest.raises(DataError, match=r"nunber.*number"):
        BatchDataset(other, file)


def test_a_function_that_looks_across_rows_is_refused_before_the_first_batch(file, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def share(x):\n    return x / x.sum()\n")
    values = YAML | {
        "new_variables": {"part_of_all": "share(number)"},
        "observers": ["part_of_all"],
    }
    config = from_mapping(values, "d.yaml", custom_functions=str(own))
    with pytest.raises(DataError, match=r"'part_of_all'.* depends on the other rows"):
        BatchDataset(config, file)
