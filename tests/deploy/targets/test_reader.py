"""The arithmetic of readers in C++, number by number, on a network that gives its input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from weaver_tt.deploy.targets.reader import FrameworkReader
from weaver_tt.errors import OutputError


def write_reader(
    folder: Path, masks_are_ones: bool = False, largest: float = np.inf, **changes: Any
) -> FrameworkReader:
    """A group of ``x`` and ``pf_mask``, whose sums over the objects are the two outputs."""
    shapes = {"pf": ["N", 2, "P"], "out": ["N", 2]}
    values = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    axes = helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [2])
    node = helper.make_node("ReduceSum", ["pf", "axes"], ["out"], keepdims=0)
    graph = helper.make_graph([node], "g", [values["pf"]], [values["out"]], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    info = {
        "median": 1.0,
        "norm_factor": 2.0,
        "replace_inf_value": 4.0,
        "lower_bound": -5.0,
        "upper_bound": 50.0,
        "pad": 0.25,
    }
    raw = {**info, "median": 0.0, "norm_factor": 1.0, "pad": 0.0}
    group = {"var_names": ["x", "pf_mask"], "var_infos": {"x": info, "pf_mask": raw}}
    info |= {key: value for key, value in changes.items() if key in info}
    lengths = {key: value for key, value in changes.items() if key not in info}
    group |= lengths or {"min_length": 1, "max_length": 3}
    content = {"output_names": ["a", "b"], "input_names": ["pf"], "pf": group}
    (folder / "preprocess.json").write_text(json.dumps(content))
    return FrameworkReader(folder, masks_are_ones=masks_are_ones, largest=largest)


def columns(*x: float, mask: float = 0.5) -> dict[str, Any]:
    return {"x": np.array(x), "pf_mask": np.full(len(x), mask)}


def test_values_are_shifted_scaled_and_clipped(tmp_path: Path) -> None:
    result = write_reader(tmp_path)(columns(3.0, -10.0, 100.0))
    # (3 - 1) * 2, (-10 - 1) * 2 cut to -5, (100 - 1) * 2 cut to 50
    assert result.inputs["pf"][0].tolist() == [[4, -5, 50], [0.5, 0.5, 0.5]]
    assert result.outputs == {"a": 49, "b": 1.5}


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_replaced(tmp_path: Path, x: float) -> None:
    # (4 - 1) * 2
    assert write_reader(tmp_path)(columns(x)).outputs["a"] == 6


def test_what_is_beyond_the_largest_number_is_replaced_where_there_is_one(tmp_path: Path) -> None:
    """CMSSW has 1e32, FCCAnalyses none."""
    assert write_reader(tmp_path, largest=1e32)(columns(2e32)).outputs["a"] == 6
    assert write_reader(tmp_path, largest=1e32)(columns(-2e32)).outputs["a"] == 6
    # cut to the bounds
    assert write_reader(tmp_path)(columns(2e32)).outputs["a"] == 50


def test_there_are_as_many_slots_as_objects_between_the_bounds(tmp_path: Path) -> None:
    read = write_reader(tmp_path, min_length=2, max_length=3)
    assert read(columns(1.0)).inputs["pf"].tolist() == [[[0, 0.25], [0.5, 0]]]
    assert read(columns()).inputs["pf"].tolist() == [[[0.25, 0.25], [0, 0]]]
    assert read(columns(1, 2, 3, 4)).inputs["pf"][0, 0].tolist() == [0, 2, 4]


def test_var_length_wins_where_it_stands(tmp_path: Path) -> None:
    read = write_reader(tmp_path, min_length=1, max_length=3, var_length=4)
    assert read(columns(1.0)).inputs["pf"].shape == (1, 2, 4)


def test_masks_are_ones_where_the_reader_makes_them_so(tmp_path: Path) -> None:
    read = write_reader(tmp_path, masks_are_ones=True, var_length=3)
    assert read(columns(1.0, 1.0)).inputs["pf"][0, 1].tolist() == [1, 1, 0]


def test_padding_outside_of_the_bounds_throws(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="'x' pads outside of its bounds"):
        write_reader(tmp_path, pad=-6.0)(columns(1.0))
