"""A folder of one file that takes the columns of files, with rows that prove it."""

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import onnxruntime
import pytest

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    write_target,
    write_tracks_and_jets,
)
from weaver_tt.deploy import Tagger
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.raw_columns import raw_inputs, read_raw_columns
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.errors import ConfigError

TEXTS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def numbers(values: Any) -> Any:
    """What stands in ``golden.json`` as numbers."""
    if isinstance(values, list):
        return [numbers(value) for value in values]
    return float(TEXTS.get(values, values))


def replay(folder: Path, rows: list[dict[str, Any]]) -> list[Any]:
    """The outputs of ``model.onnx`` for golden rows, all in one call."""
    path = folder / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = read_raw_columns(session.get_modelmeta().custom_metadata_map, str(path))
    columns = {}
    for name, column in taken.items():
        values = [numbers(row["columns"][name]) for row in rows]
        columns[name] = ak.values_astype(ak.Array(values), column.type, including_unknown=True)
    return session.run(None, raw_inputs(taken, columns, str(path)))


@pytest.mark.parametrize("rows_a_call", [1, 7, 50])
def test_golden_rows_of_all_kinds_have_the_scores_of_torch(
    tmp_path: Path, rows_a_call: int
) -> None:
    golden = write_target(tmp_path / "out", "raw", event_config(), [DeepSet(0, 3, event=2)])
    assert golden["missing"] == {}
    kinds = {row["kind"] for row in golden["rows"]}
    assert kinds == {
        *("real", "over-long", "NaN", "infinity", "sentinel", "a particle twice", "empty")
    }
    rows = golden["rows"]
    for first in range(0, len(rows), rows_a_call):
        part = rows[first : first + rows_a_call]
        expected = np.array([numbers(list(row["outputs"].values())) for row in part])
        (found,) = replay(tmp_path / "out", part)
        # what is derived is of the size of the momenta
        allowed = 2e-6 * np.maximum(1, np.abs(expected))
        same = np.isnan(found) & np.isnan(expected)
        assert (same | (np.abs(found - expected) <= allowed)).all()


def test_the_folder_has_one_file_with_its_proof(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "raw", event_config(), [DeepSet(0, 3, event=2)])
    present = {path.name for path in (tmp_path / "out").iterdir()}
    assert present == {"model.onnx", "golden.json", "README.md"}
    row = golden["rows"][0]
    names = {item.name for item in onnx.load(str(tmp_path / "out" / "model.onnx")).graph.input}
    # the columns of the file, and what is prepared of them inside
    assert names - {"offsets"} == row["columns"].keys() == golden["column_types"].keys()
    assert np.shape(row["inputs"]["pf_features"])[0] == 4
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| offsets | int64 | |" in page
    assert "| jet_pt | float64 | offsets |" in page
    assert "| met | float64 | one value a row |" in page


def test_columns_are_new_variables_and_selections_before_they_are_computed(tmp_path: Path) -> None:
    config = jets_config(
        new_variables={"pt_log": "np.log(jet_pt)"},
        object_selection={"jets": "jet_pt > 40"},
        inputs={
            "jets": {
                "length": 3,
                "vars": [["pt_log", 3, 1], ["jet_eta", 0, 1], "jet_phi", "jet_flavour"],
            }
        },
    )
    rows = events(40, seed=1)
    raw = {name: ak.Array([row[name] for row in rows]) for name in rows[0]}
    tensors = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)
    two = [DeepSet(seed, 1, per_jet=True) for seed in (1, 2)]
    sample = SampleRows({"jets": tensors}, raw)
    golden = write_target(tmp_path / "out", "raw", config, two, sample=sample)
    for row in golden["rows"]:
        # jets that are not selected are given, and have no output
        given = np.array(numbers(row["columns"]["jet_pt"]))
        assert len(row["outputs"]["jet_eff"]) == (given > 40).sum()
        assert row["outputs"].keys() == {"jet_eff", "jet_eff_std"}
    # nobody could tell which of the jets that are given are left
    with pytest.raises(ConfigError, match="objects of 'jet_eff' are selected or joined inside"):
        Tagger(tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text()
    assert "`weaver-tt-apply` and the C++ library refuse such a file" in page
    assert "weaver-tt-apply FOLDER" not in page


def test_outputs_of_objects_know_their_collection(tmp_path: Path) -> None:
    golden = write_tracks_and_jets(tmp_path / "out")
    tagger = Tagger(tmp_path / "out")
    names = tagger.column_names
    assert names[0] == "track_d0"
    columns = {
        name: ak.Array([numbers(row["columns"][name]) for row in golden["rows"]]) for name in names
    }
    found = tagger(columns)["jet_eff"].tolist()
    for row, efficiencies in zip(golden["rows"], found, strict=True):
        expected = numbers(row["outputs"]["jet_eff"])
        assert efficiencies == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_repeated_objects_are_repeated_in_the_graph(tmp_path: Path) -> None:
    scaled = [["jet_pt", 50, 0.02], ["jet_eta", 0, 1], ["jet_phi", None], ["jet_flavour", None]]
    config = jets_config(
        inputs={"jets": {"length": 6, "pad_mode": "wrap", "vars": scaled}},
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
    )
    golden = write_target(tmp_path / "out", "raw", config, [DeepSet(0, 3)])
    row = next(row for row in golden["rows"] if len(row["columns"]["jet_pt"]) == 2)
    slots = row["inputs"]["jets"][1]
    assert slots == slots[:2] * 3


def test_a_model_without_columns_of_files_is_refused(tmp_path: Path) -> None:
    config = event_config()
    tensors = sample_of(config, events(20, seed=1)).tensors
    with pytest.raises(ConfigError, match=r"--target raw: .*\n  there are no columns of files"):
        write_target(
            tmp_path / "out", "raw", config, [DeepSet(0, 3, event=2)], sample=SampleRows(tensors)
        )
    assert list(tmp_path.iterdir()) == []


def test_an_expression_that_no_graph_computes_is_refused_with_a_caret(tmp_path: Path) -> None:
    config = event_config()
    changed = jets_config(
        new_variables={"met": "ak.max(jet_pt, axis=1) + jet_pt"},
        inputs={name: as_yaml(group) for name, group in config.inputs.items()},
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
    )
    sample = sample_of(changed, events(20, seed=1))
    with pytest.raises(ConfigError, match=r"new_variables.met: ak.max .*\n.*ak.max.*\n +\^"):
        write_target(tmp_path / "out", "raw", changed, [DeepSet(0, 3, event=2)], sample=sample)
    assert list(tmp_path.iterdir()) == []


def as_yaml(group: Any) -> dict[str, Any]:
    return {"length": group.length, "vars": [[name, None] for name in group.names]}


def test_a_prediction_says_that_it_prepares_tensors_itself(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "raw", event_config(), [DeepSet(0, 3, event=2)])
    with pytest.raises(ConfigError, match=r"takes columns of files, .*--target generic"):
        OnnxNetwork(tmp_path / "out" / "model.onnx", event_config())


def test_an_operator_set_without_sums_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="operator set 15: sums over objects need 16"):
        write_target(tmp_path / "out", "raw", event_config(), [DeepSet(0, 3, event=2)], opset=15)


def test_what_is_prepared_wrongly_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader shows the tensors inside, so that a difference has the name of its column."""
    from weaver_tt.deploy import raw_graph
    from weaver_tt.errors import OutputError

    monkeypatch.setattr(raw_graph, "choose", lambda condition, yes, no: yes * 0)
    with pytest.raises(OutputError, match=r"row 0 \(real: .*column 'jet_pt' of input"):
        write_target(tmp_path / "out", "raw", event_config(), [DeepSet(0, 3, event=2)])
    assert list(tmp_path.iterdir()) == []


def test_golden_rows_say_the_types_of_the_files(tmp_path: Path) -> None:
    config = event_config()
    sample = sample_of(config, events(40, seed=1))
    sample.raw["npv"] = ak.values_astype(sample.raw["npv"], "uint8")
    sample.raw["jet_flavour"] = ak.values_astype(sample.raw["jet_flavour"], "int16")
    write_target(tmp_path / "out", "raw", config, [DeepSet(0, 3, event=2)], sample=sample)
    golden = json.loads((tmp_path / "out" / "golden.json").read_text())
    assert golden["column_types"]["npv"] == "uint8"
    assert golden["column_types"]["jet_flavour"] == "int16"
