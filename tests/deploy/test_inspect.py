"""`weaver-tt inspect` says what a file holds, ours or a stranger's, and where that differs."""

import json
import shutil
from pathlib import Path

import onnx
import pytest

from weaver_tt.deploy.inspect import describe_model, load_model
from weaver_tt.errors import ConfigError


def lines_of(path: Path) -> list[str]:
    return list(describe_model(path, load_model(path)))


def test_an_export_says_its_inputs_outputs_preparation_and_task(exports: dict[str, Path]) -> None:
    lines = lines_of(exports["event"] / "model.onnx")
    assert "  pf_features float32 (N, 4, P_pf_features): 1 to 6 objects of a row" in lines
    assert "  event float32 (N, 2): values of a row" in lines
    assert "  output float32 (N, 5)" in lines
    assert "  names: is_a, is_b, is_c, D_b, met_of_b" in lines
    assert "    (met - 30) * 0.1, from -2 to 2" in lines
    assert "    (jet_pt - 50) * 0.02, from -5 to 5" in lines
    assert "    jet_eta" in lines
    assert "  task: classification" in lines
    assert lines[-1] == "more of it: --data-config and --preprocess"
    [where] = [line for line in lines if line.startswith("preparation")]
    assert "in the file, and the same in" in where


def test_a_sidecar_that_differs_from_the_file_is_said(
    exports: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(exports["jets"], tmp_path / "export")
    content = json.loads((folder / "preprocess.json").read_text())
    content["jets"]["var_infos"]["jet_pt"]["median"] = 51
    (folder / "preprocess.json").write_text(json.dumps(content))
    [where] = [line for line in lines_of(folder / "model.onnx") if line.startswith("preparation")]
    assert "SAYS OTHERWISE" in where
    (folder / "preprocess.json").unlink()
    [where] = [line for line in lines_of(folder / "model.onnx") if line.startswith("preparation")]
    assert "there is no preprocess.json beside it" in where


def test_a_file_of_others_says_what_its_graph_and_the_sidecar_beside_it_say(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        [value("x", onnx.TensorProto.FLOAT, ["N", 2, 7])],
        [value("y", onnx.TensorProto.FLOAT, ["N", 2, 7])],
    )
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "other.onnx"))
    lines = lines_of(tmp_path / "other.onnx")
    assert lines[-1].startswith("preparation of the inputs: said neither in the file nor")
    info = {"median": 0, "norm_factor": 1, "lower_bound": -1e32, "upper_bound": 1e32}
    infos = {"a": info | {"norm_factor": 4}, "b": info | {"median": -2}}
    group = {"var_names": ["a", "b"], "var_infos": infos, "var_length": 7}
    content = {"flav_names": ["b", "c"], "x": group}
    (tmp_path / "preprocess.json").write_text(json.dumps(content))
    lines = lines_of(tmp_path / "other.onnx")
    assert "  x float32 (N, 2, 7): 7 objects of a row" in lines
    assert {"    a * 4", "    (b + 2)", "  names: b, c"} <= set(lines)
    (tmp_path / "preprocess.json").write_text("{}")
    assert "not to be read" in lines_of(tmp_path / "other.onnx")[-1]


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"model\.onnx: not an ONNX file"):
        load_model(tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match=r"modle\.onnx: no such file; did you mean 'model\.onnx'"):
        load_model(tmp_path / "modle.onnx")
