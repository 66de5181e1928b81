"""A file that holds no network, or a graph that asks for more than memory, is refused by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from weaver_tt.deploy.session import open_session
from weaver_tt.errors import ConfigError


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ConfigError, match=r"modle.onnx: no such file; did you mean 'model.onnx'"):
        open_session(tmp_path / "modle.onnx", None)


def test_a_graph_that_makes_a_constant_of_16_gigabytes_is_refused(tmp_path: Path) -> None:
    size = onnx.helper.make_tensor("size", onnx.TensorProto.INT64, [1], [2**32])
    nodes = [
        onnx.helper.make_node("Constant", [], ["size"], value=size),
        onnx.helper.make_node("ConstantOfShape", ["size"], ["large"]),
        onnx.helper.make_node("ReduceSum", ["large"], ["y"], keepdims=0),
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [])
    graph = onnx.helper.make_graph(nodes, "graph", [], [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, str(tmp_path / "bomb.onnx"))
    with pytest.raises(ConfigError, match="'large' would hold 4294967296 values"):
        open_session(tmp_path / "bomb.onnx", None)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "model.npy", np.zeros(3))
    (tmp_path / "model.npy").rename(tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="not a network that ONNX Runtime can load"):
        open_session(tmp_path / "model.onnx", None)
