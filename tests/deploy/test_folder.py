"""A folder of a target is complete, with proof inside, or is not there."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.deploy.conftest import (
    NAMES,
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    tensors_of,
    write_target,
)
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.raw_rows import evaluate_raw_rows, inputs_alone
from weaver_tt.data.rows.padding import Padder
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.tasks.registry import make_task

NETWORK = DeepSet(0, 3, event=2)
TEXTS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def numbers(values: Any) -> Any:
    """What stands in ``golden.json`` as numbers."""
    if isinstance(values, list):
        return np.array([TEXTS.get(value, value) for value in values], float)
    return float(TEXTS.get(values, values))


class Sums(nn.Module):
    """Sums of jets over all slots, which sees how they are padded."""

    def forward(self, jets: Tensor) -> Tensor:
        return jets[:, :3].sum(2)


class First(nn.Module):
    """The first jet alone, which does not see how the others are padded."""

    def forward(self, jets: Tensor) -> Tensor:
        return jets[:, :3, 0]


def classes_of_jets(pad_mode: str) -> DataConfig:
    scaled = [["jet_pt", 50, 0.02], ["jet_eta", 0, 1], ["jet_phi", None], ["jet_flavour", None]]
    return jets_config(
        inputs={"jets": {"length": 6, "pad_mode": pad_mode, "vars": scaled}},
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
    )


@pytest.mark.parametrize("target", ["generic", "fcc", "cmssw"])
def test_golden_rows_are_what_torch_gives_for_their_columns(tmp_path: Path, target: str) -> None:
    """Their tensors are made here value by value, of the columns that stand in the file."""
    golden = write_target(tmp_path / "out", target, event_config(), [NETWORK])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.onnx",
        "preprocess.json",
        "golden.json",
        "README.md",
    }
    kinds = Counter(row["kind"] for row in golden["rows"])
    expected = {"real": 20, "empty": 1}
    expected |= dict.fromkeys(["over-long", "NaN", "infinity", "sentinel", "a particle twice"], 3)
    if target == "cmssw":
        # CMSSW gives zeros, and does not ask the network
        del expected["empty"]
        assert set(golden["empty_row"]["outputs"].values()) == {0}
        assert golden["empty_row"]["columns"]["jet_pt"] == []
    assert kinds == expected
    assert golden["missing"] == {}
    config = event_config()
    network = Ensemble([Network(NETWORK, list(config.inputs))], make_task(config))
    for row in golden["rows"]:
        columns = {name: numbers(values) for name, values in row["columns"].items()}
        tensors = tensors_of(config, columns)
        with torch.no_grad():
            value, _ = network(tensors).joined()
        found = [numbers(value) for value in row["outputs"].values()]
        assert np.allclose(found, value[0], rtol=1e-6, atol=1e-6, equal_nan=True)
        # and so are the tensors, up to the padding
        prepared = np.array(row["inputs"]["pf_features"])
        size = prepared.shape[1]
        assert np.allclose(prepared, tensors["pf_features"][0, :, :size], rtol=1e-6)
        is_twice = row["kind"] == "a particle twice"
        assert row["tolerance"]["absolute"] == (5e-5 if is_twice else 1e-5)


def test_rows_say_what_was_changed(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "generic", event_config(), [NETWORK])
    rows = {row["change"]: row for row in golden["rows"]}
    assert rows["jet_pt of object 0 is nan"]["columns"]["jet_pt"][0] == "NaN"
    longer = rows["objects of 2 rows in jet_pt, jet_eta, jet_phi and 2 more: 7"]
    assert len(longer["columns"]["jet_pt"]) == 7
    assert golden["column_types"]["jet_pt"] == "float64"
    assert golden["source"] == "columns of the files"


def test_raw_columns_and_what_is_made_of_them_stand_side_by_side(tmp_path: Path) -> None:
    """sum of pT squared of the jets above 30 GeV, with a new variable and selected objects."""
    config = jets_config(
        new_variables={"jet_logpt": "np.log(jet_pt)"},
        object_selection={"jets": {"selection": "jet_pt > 30", "columns": ["jet_*"]}},
        inputs={"jets": {"length": 6, "vars": [["jet_logpt", 3, 2], *NAMES[1:]]}},
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
        preprocess={"method": "manual"},
    )
    rows = [dict(row, jet_pt=np.nan_to_num(row["jet_pt"], posinf=40.0)) for row in events(40, 1)]
    raw = {name: ak.Array([row[name] for row in rows]) for name in NAMES}
    _, selected = evaluate_raw_rows(raw, config, "the sample")
    batch = Padder(inputs_alone(config))(selected)
    sample = SampleRows({"jets": batch.inputs["jets"].numpy().copy()}, raw)
    golden = write_target(tmp_path / "out", "cmssw", config, [DeepSet(0, 3)], sample=sample)
    row = next(row for row in golden["rows"] if row["change"] == "jet_eta of object 1 is nan")
    passed = [pt for pt in row["raw_columns"]["jet_pt"] if pt > 30]
    assert row["columns"]["jet_logpt"] == pytest.approx(np.log(passed))
    assert row["inputs"]["jets"][0] == pytest.approx((np.log(passed) - 3) * 2, abs=1e-6)
    assert "jet_pt" not in row["columns"]


def test_a_spread_is_compared_on_the_scale_of_its_value(tmp_path: Path) -> None:
    """Two members that differ by 2e-3 of 1000: float32 knows 1000 to 6e-5."""

    class Large(nn.Module):
        def __init__(self, shift: float) -> None:
            super().__init__()
            self.shift = shift

        def forward(self, jets: Tensor) -> Tensor:
            return 1000 + self.shift + 0 * jets[:, 0].sum(1, keepdim=True)

    config = jets_config(labels={"type": "custom", "value": {"y": "met"}})
    golden = write_target(tmp_path / "out", "generic", config, [Large(0.0), Large(2e-3)])
    tolerance = golden["rows"][0]["tolerance"]
    assert tolerance["absolute"] == 1e-5
    assert tolerance["outputs"]["y_std"]["absolute"] == pytest.approx(1e-5 * 1001, rel=1e-3)


def test_a_model_without_raw_columns_has_them_computed_back(tmp_path: Path) -> None:
    """From (pt - 50) * 0.02 and the like; the rows are prepared as they were in training."""
    config = event_config()
    tensors = sample_of(config, events(40, seed=1)).tensors
    golden = write_target(tmp_path / "out", "fcc", config, [NETWORK], sample=SampleRows(tensors))
    assert golden["source"].startswith("variables computed back from prepared tensors")
    assert len(golden["rows"]) == 36
    first = golden["rows"][0]
    # rows without jets are not real ones
    made = np.array(first["columns"]["jet_pt"])
    assert len(made) == 1
    assert made[0] == pytest.approx(events(40, seed=1)[1]["jet_pt"][0], rel=1e-5)


def test_wrap_padding_is_refused_where_it_makes_a_difference(tmp_path: Path) -> None:
    with pytest.raises(
        OutputError,
        match=r"row 0 \(real: as it is in the file\): output 'is_a' differs from torch .*"
        r"column 'jet_pt' of input 'jets' is 0 in slot 1, in training .*trained with pad_mode wrap",
    ):
        write_target(tmp_path / "out", "fcc", classes_of_jets("wrap"), [Sums()])
    assert list(tmp_path.iterdir()) == []


def test_wrap_padding_that_the_network_does_not_see_is_exported(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "fcc", classes_of_jets("wrap"), [First()])
    assert len(golden["rows"]) >= 30


class Mean(nn.Module):
    """A mean over slots, empty ones too: another number for another P."""

    def forward(self, jets: Tensor) -> Tensor:
        return jets[:, :3].mean(2)


@pytest.mark.parametrize("target", ["generic", "cmssw"])
def test_a_network_that_counts_padding_needs_its_full_length(tmp_path: Path, target: str) -> None:
    config = classes_of_jets("constant")
    with pytest.raises(OutputError, match=r"1 slots instead of 6: .* leave axis 2 out of model_in"):
        write_target(tmp_path / "out", target, config, [Mean()])
    fixed = {"dynamic_axes": {"jets": {0: "N"}}}
    assert write_target(tmp_path / "out", target, config, [Mean()], info=fixed)["rows"]


class MeanOfReal(nn.Module):
    """A mean over the jets there are, 0 / 0 without any."""

    def forward(self, jets: Tensor) -> Tensor:
        real = (jets[:, 3:] >= 0) & (jets[:, :1] != 0)
        return (jets[:, :3] * real).sum(2) / real.sum(2)


def test_a_row_without_objects_is_no_proof_of_a_network_that_has_no_numbers_for_it(
    tmp_path: Path,
) -> None:
    config = classes_of_jets("constant")
    filled = [row for row in events(40, seed=1) if len(row["jet_pt"])]
    sample = sample_of(config, filled)
    golden = write_target(tmp_path / "out", "fcc", config, [MeanOfReal()], sample=sample)
    reason = "the sample has none, and the network gives NaN or infinity for one"
    assert golden["missing"] == {"empty": reason}
    assert golden["empty_row"] == {"why": reason}
    # as some of the data are like that, it is what torch gives
    golden = write_target(tmp_path / "out", "fcc", config, [MeanOfReal()])
    assert golden["rows"][-1]["kind"] == "empty"
    assert golden["rows"][-1]["outputs"]["is_a"] == "NaN"


def test_an_earlier_export_stays_where_the_next_one_fails(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "fcc", event_config(), [NETWORK])
    before = (tmp_path / "out" / "golden.json").read_text()
    with pytest.raises(OutputError):
        write_target(tmp_path / "out", "fcc", classes_of_jets("wrap"), [Sums()])
    assert (tmp_path / "out" / "golden.json").read_text() == before
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK])
    assert json.loads((tmp_path / "out" / "golden.json").read_text())["target"] == "cmssw"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"holds thesis.tex, and is no earlier export"):
        write_target(tmp_path, "generic", event_config(), [NETWORK])
    with pytest.raises(ConfigError, match="is a file"):
        write_target(tmp_path / "thesis.tex", "generic", event_config(), [NETWORK])
