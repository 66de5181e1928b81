"""The sample holds rows as the network sees them, some without objects, and is safe to load."""

import awkward as ak
import numpy as np
import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.deploy.sample import (
    check_sample,
    collect_sample,
    load_raw_sample,
    load_sample,
    random_sample,
    save_raw_sample,
    save_sample,
    with_derived_inputs,
)
from weaver_tt.errors import DataError, OutputError


def batch_of(counts: list[int], start: int = 0) -> Batch:
    """Rows with these numbers of objects, whose one feature is the row's number + 1."""
    number = torch.tensor(counts)
    mask = torch.arange(4) < number[:, None]
    values = (torch.arange(start, start + len(counts)) + 1.0)[:, None, None] * mask[:, None]
    return Batch(
        inputs={"jets": values, "event": number[:, None].float()},
        masks={"jets": mask},
        counts={"jets": number},
        labels={},
        size=len(counts),
    )


def test_the_first_rows_are_kept():
    sample = collect_sample([batch_of([1, 2, 3]), batch_of([2, 1], start=3)], rows=4)
    assert sample["jets"].shape == (4, 1, 4)
    assert sample["jets"][:, 0, 0].tolist() == [1, 2, 3, 4]
    assert sample["event"].tolist() == [[1], [2], [3], [2]]


def test_no_more_batches_are_read_than_needed():
    def batches():
        yield batch_of([1, 1])
        pytest.fail("read on")

    assert len(collect_sample(batches(), rows=2)["jets"]) == 2


def test_one_row_in_eight_may_be_without_objects():
    sample = collect_sample([batch_of([0] * 5 + [1] * 5), batch_of([0] * 5 + [1] * 30)], rows=16)
    assert sample["event"][:, 0].tolist() == [0, 0] + [1] * 14


def test_one_row_without_objects_is_kept_of_however_few():
    sample = collect_sample([batch_of([0, 1, 0, 2, 3])], rows=4)
    assert sample["event"][:, 0].tolist() == [0, 1, 2, 3]


def test_a_row_with_objects_in_any_group_is_not_empty():
    """Five rows without jets, of which only the last has no tracks either."""
    batch = batch_of([0] * 5)
    number = torch.tensor([1, 1, 1, 1, 0])
    batch.masks["tracks"] = torch.arange(2) < number[:, None]
    batch.inputs["tracks"] = batch.masks["tracks"][:, None].float()
    sample = collect_sample([batch, batch], rows=8)
    # one row in eight may be empty, and of these only the fifth is
    assert sample["tracks"][:, 0, 0].tolist() == [1, 1, 1, 1, 0, 1, 1, 1]


def test_fewer_rows_than_wanted_are_all_kept():
    assert len(collect_sample([batch_of([1, 2])], rows=100)["jets"]) == 2
    assert collect_sample([], rows=100) == {}


def test_reused_buffers_do_not_matter():
    batch = batch_of([1, 1])

    def batches():
        for value in (1.0, 2.0):
            batch.inputs["jets"].fill_(value)
            yield batch

    assert collect_sample(batches(), rows=4)["jets"][:, 0, 0].tolist() == [1, 1, 2, 2]


def test_saved_rows_are_loaded(tmp_path):
    path = save_sample(tmp_path / "model", collect_sample([batch_of([2, 0, 4])]))
    assert path == tmp_path / "model_sample.npz"
    sample = load_sample(tmp_path / "model")
    assert sample is not None
    assert {name: array.dtype for name, array in sample.items()} == {
        "jets": np.float32,
        "event": np.float32,
    }
    assert sample["event"][:, 0].tolist() == [2, 0, 4]
    assert len(list(tmp_path.iterdir())) == 1


def test_raw_columns_are_loaded_in_the_types_of_the_file(tmp_path):
    raw = {
        "pt": ak.Array([[1.5, 2.5], []]),
        "met": np.array([3, 4], np.float32),
        "charge": ak.values_astype(ak.Array([[-1, 1], []]), np.int8),
        "hits": ak.Array([[[1, 2], []], []]),
    }
    assert save_raw_sample(tmp_path / "model", raw) == tmp_path / "model_sample.parquet"
    loaded = load_raw_sample(tmp_path / "model_member-0_best_epoch_state.pt")
    assert loaded is not None
    assert {name: ak.Array(values).tolist() for name, values in raw.items()} == {
        name: values.tolist() for name, values in loaded.items()
    }
    assert "int8" in str(loaded["charge"].type)
    assert "float32" in str(loaded["met"].type)


def test_raw_columns_of_an_earlier_training_do_not_stay(tmp_path):
    save_raw_sample(tmp_path / "model", {"met": np.ones(2)})
    save_raw_sample(tmp_path / "model", {})
    assert load_raw_sample(tmp_path / "model") is None


@pytest.mark.parametrize(
    "model",
    ["model", "model_best_epoch_state.pt", "model_member-1_epoch-3_state.pt", "model_member-0"],
)
def test_any_file_of_the_run_leads_to_the_sample(tmp_path, model):
    save_sample(tmp_path / "model", collect_sample([batch_of([1])]))
    assert load_sample(tmp_path / model) is not None


def test_no_sample_is_none(tmp_path):
    save_sample(tmp_path / "empty", {})
    assert load_sample(tmp_path / "empty") is None
    assert load_sample(tmp_path / "model") is None


def test_a_sample_never_runs_code(tmp_path):
    np.savez(tmp_path / "model_sample.npz", jets=np.array([print], dtype=object))
    with pytest.raises(DataError, match=r"model_sample\.npz: not a sample of rows"):
        load_sample(tmp_path / "model")


def test_a_damaged_sample_is_named(tmp_path):
    (tmp_path / "model_sample.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match=r"model_sample\.npz: not a sample of rows"):
        load_sample(tmp_path / "model")


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        save_sample(tmp_path / "missing" / "model", collect_sample([batch_of([1])]))


@pytest.fixture
def config() -> DataConfig:
    raw = tuple(Variable(name=f"jet_{name}") for name in ("pt", "eta", "phi", "flavour"))
    groups = [
        InputGroup(name="jets", variables=raw, length=6),
        InputGroup(
            name="tracks",
            variables=(Variable(name="d0", center=1.0, low=-0.5, high=0.25, pad=-9),),
            length=6,
        ),
        InputGroup(name="jets_mask", variables=(Variable(name="one"),), length=6),
        InputGroup(name="event", variables=(Variable(name="met", center=0.0),)),
    ]
    return DataConfig(source="test.yaml", text="", inputs={group.name: group for group in groups})


def test_random_rows_are_plausible(config):
    sample = random_sample(config, rows=200)
    real = sample["jets_mask"][:, 0] == 1  # (R, P)
    pt, eta, phi, flavour = np.moveaxis(sample["jets"], 1, 0)
    assert (pt[real] > 0).all()
    assert (np.abs(eta) <= 2.5).all()
    assert (np.abs(phi) <= np.pi).all()
    assert set(flavour[real]) == {0, 4, 5}
    assert (sample["jets"].transpose(0, 2, 1)[~real] == 0).all()
    tracks = sample["tracks"][:, 0]
    assert (tracks[~real] == -9).all()
    assert tracks[real].min() >= -0.5
    assert tracks[real].max() <= 0.25
    assert sample["event"].shape == (200, 1)
    # no row that the data may not hold
    assert real.any(1).all()
    assert real[0].sum() == 1
    assert real.all(1).any()


def test_random_rows_depend_on_the_seed_only(config):
    one = random_sample(config, 9, seed=1)
    same = random_sample(config, 9, seed=1)
    other = random_sample(config, 9, seed=2)
    assert all((one[name] == same[name]).all() for name in one)
    assert not (one["jets"] == other["jets"]).all()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros(3), r"'jets' has the shape \(3,\)"),
        (np.array([["a"]]), "'jets' has the shape"),
        (np.zeros((2, 1), complex), "complex128"),
        (np.zeros((1, 1, 1, 1)), "shape"),
    ],
)
def test_a_sample_of_something_else_than_rows_of_numbers_is_named(tmp_path, values, problem):
    np.savez(tmp_path / "net_sample.npz", jets=values)
    with pytest.raises(DataError, match=f"net_sample.npz: not a sample of rows .*{problem}"):
        load_sample(str(tmp_path / "net"))


def test_a_sample_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "net_sample.npz", jets=np.zeros((100, 100), np.float32))
    monkeypatch.setattr("weaver_tt.deploy.sample.MAX_BYTES", 40_000)
    with pytest.raises(DataError, match="40128 bytes unpacked"):
        load_sample(str(tmp_path / "net"))


@pytest.mark.parametrize("keep", [0, 10, 100, 150, -30, -1])
def test_a_sample_that_was_cut_short_is_named(tmp_path, keep):
    np.savez_compressed(tmp_path / "net_sample.npz", jets=np.zeros((9, 9), np.float32))
    path = tmp_path / "net_sample.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"net_sample.npz: not a sample of rows"):
        load_sample(str(tmp_path / "net"))


def test_a_sample_of_other_inputs_is_refused_before_the_export(config):
    sample = random_sample(config, rows=4)
    check_sample(sample, config, "net")
    name = next(iter(sample))
    for wrong in (
        {key: values for key, values in sample.items() if key != name},
        {**sample, name: sample[name][:, :0]},
        {**sample, name: sample[name][:2]},
    ):
        with pytest.raises(DataError, match=r"net: .*sample"):
            check_sample(wrong, config, "net")


def test_a_sample_from_before_there_were_derived_outputs_has_random_columns_of_theirs():
    values = {
        "inputs": {"jet": {"length": None, "vars": [["x", 0, 1]]}},
        "labels": {"type": "custom", "value": {"y": "gen_pt"}},
        "observers": ["jet_pt"],
    }
    before = from_mapping(values)
    derived = from_mapping({**values, "derived_outputs": {"pt": "jet_pt * y"}})
    sample = random_sample(before, rows=4)
    assert with_derived_inputs(sample, before) is sample
    with pytest.raises(DataError, match="net: its sample has no group 'derived_inputs'"):
        check_sample(sample, derived, "net")
    found = with_derived_inputs(sample, derived)
    check_sample(found, derived, "net")
    assert found["derived_inputs"].shape == (4, 1)
    assert found["derived_inputs"].min() > 20
    assert with_derived_inputs(found, derived) is found
