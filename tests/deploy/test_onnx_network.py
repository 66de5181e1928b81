"""An exported network is called like the torch one, and refuses data that it was not trained on."""

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.preprocess import make_preprocess
from weaver_tt.errors import ConfigError, DataError, OutputError


def config_of(**jets) -> DataConfig:
    """Two variables of up to three jets."""
    group = {"length": 3, "vars": [["pt", 100, 0.01], ["eta", None]]} | jets
    return from_mapping(
        {"inputs": {"jets": group}, "labels": {"type": "per_object", "value": ["tag"]}},
        source="test.yaml",
    )


def write_graph(
    path: Path, layout: str, outputs: dict[str, list], nodes: list, **metadata: str
) -> Path:
    """An ONNX file with input jets (N, 2, P), made by hand."""
    jets = helper.make_tensor_value_info("jets", TensorProto.FLOAT, ["N", 2, "P"])
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in outputs.items()
    ]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "graph", [jets], results, [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sidecar = make_preprocess(config_of(), ["jets"], list(outputs), ["jets"])
    helper.set_model_props(
        model,
        {"layout": layout, "outputs": json.dumps(list(outputs)), "preprocess": json.dumps(sidecar)}
        | metadata,
    )
    onnx.save(model, str(path))
    return path


@pytest.fixture
def per_object(tmp_path: Path) -> Path:
    """Two outputs (N, P): the first variable and its negative.

    Their spreads are the second variable and its negative.
    """
    names = {
        name: ["N", "P"] for name in ("jet_eff_a", "jet_eff_b", "jet_eff_a_std", "jet_eff_b_std")
    }
    nodes = [
        helper.make_node("Split", ["jets"], ["pt", "eta"], axis=1),
        helper.make_node("Squeeze", ["pt", "axis"], ["jet_eff_a"]),
        helper.make_node("Squeeze", ["eta", "axis"], ["jet_eff_a_std"]),
        helper.make_node("Neg", ["jet_eff_a"], ["jet_eff_b"]),
        helper.make_node("Neg", ["jet_eff_a_std"], ["jet_eff_b_std"]),
    ]
    return write_graph(tmp_path / "model.onnx", "objects", names, nodes)


@pytest.fixture
def per_row(tmp_path: Path) -> Path:
    """One output (N, 2): the variables' largest values over objects."""
    nodes = [helper.make_node("ReduceMax", ["jets"], ["softmax"], axes=[2], keepdims=0)]
    return write_graph(tmp_path / "model.onnx", "rows", {"softmax": ["N", 2]}, nodes)


def test_outputs_per_object_are_stacked(per_object):
    jets = torch.arange(12.0).reshape(2, 2, 3)
    values, spread, *_ = OnnxNetwork(per_object, config_of(), threads=1)({"jets": jets})
    assert torch.equal(values, torch.stack([jets[:, 0], -jets[:, 0]], 1))  # (N, K, P)
    assert torch.equal(spread, torch.stack([jets[:, 1], -jets[:, 1]], 1))


def test_one_output_per_row_has_no_spread(per_row):
    network = OnnxNetwork(per_row, config_of())
    values, spread, *_ = network({"jets": torch.arange(12.0).reshape(2, 2, 3)})
    assert values.tolist() == [[2, 5], [8, 11]]
    assert spread is None
    assert network.activated
    assert network.input_names == ["jets"]
    assert network.eval() is network.train() is network


def test_any_number_of_rows_and_objects_runs(per_object):
    network = OnnxNetwork(per_object, config_of())
    for rows, objects in [(1, 1), (0, 3), (100, 20)]:
        assert network({"jets": torch.ones(rows, 2, objects)})[0].shape == (rows, 2, objects)


def test_inputs_that_are_not_contiguous_are_fine(per_row):
    jets = torch.arange(12.0).reshape(2, 3, 2).transpose(1, 2)
    assert OnnxNetwork(per_row, config_of())({"jets": jets})[0].tolist() == jets.amax(2).tolist()


def test_what_the_runtime_cannot_run_is_told_with_shapes(per_row):
    with pytest.raises(OutputError, match=r"cannot run inputs of shape \{'jets': \(2, 5, 3\)\}"):
        OnnxNetwork(per_row, config_of())({"jets": torch.ones(2, 5, 3)})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            config_of(vars=[["pt", 100, 0.01]]),
            r"'jets' has the 2 variables pt, eta; test\.yaml gives 1: pt",
        ),
        (
            config_of(vars=[["eta", None], ["pt", 100, 0.01]]),
            r"2 variables pt, eta; test\.yaml gives 2: eta, pt",
        ),
        (
            config_of(vars=[["pt", 90, 0.01], ["eta", None]]),
            "'jets' was trained with 'pt' prepared as .*100.*says .*90",
        ),
        (
            config_of(vars=[["pt", 100, 0.02], ["eta", None]]),
            r"'pt' prepared as .*0\.01.*says .*0\.02",
        ),
        (
            config_of(vars=[["pt", 100, 0.01, -5, 5, -1], ["eta", None]]),
            r"'pt' prepared as .*'pad': 0\.0.*says .*'pad': -1\.0",
        ),
        (
            from_mapping(
                {"inputs": {"jet": {"length": 3, "vars": ["pt", "eta"]}}}, source="test.yaml"
            ),
            "takes input 'jets'.*did you mean 'jet'",
        ),
    ],
)
def test_other_data_than_in_training_is_refused(per_row, config, message):
    with pytest.raises(ConfigError, match=message):
        OnnxNetwork(per_row, config)


def test_another_length_is_fine(per_row):
    assert OnnxNetwork(per_row, config_of(length=50)).input_names == ["jets"]


def test_a_file_of_someone_else_is_refused(tmp_path):
    nodes = [helper.make_node("ReduceMax", ["jets"], ["softmax"], axes=[2], keepdims=0)]
    path = write_graph(tmp_path / "model.onnx", "rows", {"softmax": ["N", 2]}, nodes)
    model = onnx.load(str(path))
    del model.metadata_props[:]
    onnx.save(model, str(path))
    with pytest.raises(ConfigError, match=r"model\.onnx: not written by weaver_tt"):
        OnnxNetwork(path, config_of())


def test_a_missing_or_damaged_file_is_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(ConfigError, match=r"modle\.onnx: no such file; did you mean 'model\.onnx'"):
        OnnxNetwork(tmp_path / "modle.onnx", config_of())
    with pytest.raises(ConfigError, match=r"model\.onnx: not a network that ONNX Runtime can load"):
        OnnxNetwork(tmp_path / "model.onnx", config_of())


def test_importing_the_module_does_not_import_the_runtime(tmp_path):
    import subprocess
    import sys

    code = "import sys, weaver_tt.deploy.onnx_network; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_are_own_memory(per_object):
    network = OnnxNetwork(per_object, config_of())
    first = network({"jets": torch.zeros(1, 2, 3)})[0]
    network({"jets": torch.ones(1, 2, 3)})
    assert np.all(first.numpy() == 0)


def test_a_label_may_end_like_a_spread(tmp_path):
    """``jet_eff_std`` without ``jet_eff`` beside it is the efficiency of a label ``std``."""
    nodes = [
        helper.make_node("Split", ["jets"], ["pt", "eta"], axis=1),
        helper.make_node("Squeeze", ["pt", "axis"], ["jet_eff_std"]),
    ]
    outputs = {"jet_eff_std": ["N", "P"]}
    path = write_graph(tmp_path / "model.onnx", "objects", outputs, nodes)
    jets = torch.arange(6.0).reshape(1, 2, 3)
    values, spread, *_ = OnnxNetwork(path, config_of())({"jets": jets})
    assert values.tolist() == [[[0, 1, 2]]]
    assert spread is None


@pytest.mark.parametrize("key", ["layout", "outputs", "preprocess"])
def test_a_file_that_lacks_part_of_its_metadata_is_refused(per_row, key):
    model = onnx.load(str(per_row))
    kept = {item.key: item.value for item in model.metadata_props if item.key != key}
    del model.metadata_props[:]
    helper.set_model_props(model, kept)
    onnx.save(model, str(per_row))
    with pytest.raises(ConfigError, match=r"model\.onnx: not written by weaver_tt"):
        OnnxNetwork(per_row, config_of())


def test_the_runtime_takes_as_many_threads_as_it_is_told(per_row):
    network = OnnxNetwork(per_row, config_of(), threads=3)
    assert network.session.get_session_options().intra_op_num_threads == 3


@pytest.mark.parametrize(
    "preprocess",
    [
        "",
        "[]",
        "3",
        '{"jets": 3}',
        '{"jets": {"var_names": 5, "var_infos": {}}}',
        "{}",
        "[" * 10**5,
    ],
)
def test_damaged_metadata_are_an_error_that_names_them(tmp_path, preprocess):
    names = {"jet_eff_a": ["N", 2, "P"]}
    node = helper.make_node("Identity", ["jets"], ["jet_eff_a"])
    path = write_graph(tmp_path / "m.onnx", "objects", names, [node], preprocess=preprocess)
    with pytest.raises((ConfigError, DataError), match=r"m\.onnx: .*metadata 'preprocess'"):
        OnnxNetwork(path, config_of())


def test_a_constant_that_no_memory_holds_is_refused_before_it_is_made(tmp_path):
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [65536, 65536])  # 16 GB
    jets = helper.make_tensor_value_info("jets", TensorProto.FLOAT, ["N", 2, "P"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["jets"], ["jet_sum"], keepdims=0),
        helper.make_node("Add", ["sum", "jet_sum"], ["out"]),
    ]
    graph = helper.make_graph(nodes, "graph", [jets], [out], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ConfigError, match=r"m\.onnx: 'zeros' would hold 4294967296 values"):
        OnnxNetwork(tmp_path / "m.onnx", config_of())


def test_rows_are_timed_one_by_one_where_the_graph_takes_one(per_row, tmp_path, monkeypatch):
    network = OnnxNetwork(per_row, config_of())
    now = itertools.count()
    # half a second between two looks at the clock
    monkeypatch.setattr("time.perf_counter", lambda: next(now) / 2)
    assert network.single_row_seconds({"jets": torch.zeros(5, 2, 3)}) == 0.5
    # the first row once more, and each row
    assert next(now) == 2 * (1 + 5)
    model = onnx.load(str(per_row))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 5
    onnx.save(model, str(tmp_path / "of_five.onnx"))
    of_five = OnnxNetwork(tmp_path / "of_five.onnx", config_of())
    assert of_five.single_row_seconds({"jets": torch.zeros(5, 2, 3)}) is None
