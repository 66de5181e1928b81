"""Expressions in ONNX Runtime, for tests: what a graph makes of the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import onnx
import onnxruntime

from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.expressions.graph_form import compute_in_graph
from weaver_tt.expressions.graph_functions import form_of
from weaver_tt.expressions.graph_values import Graph, GraphValue, onnx_parts

WHERE = "test.yaml: new_variables.x"
OFFSETS = "offsets"


def run_in_graph(
    text: str, table: Mapping[str, Any], examples: Mapping[str, Any] | None = None
) -> Any:
    """The values of an expression of columns (R,) or lists, computed by ONNX Runtime.

    All lists have the same lengths. Types are those of the table, or of ``examples`` in its place.

    Raises:
        ConfigError: a graph cannot compute it.
    """
    graph = Graph(form_of)
    columns = {}
    given = {}
    for name, values in table.items():
        if values.ndim == 1:
            given[name] = ak.to_numpy(values)
            columns[name] = GraphValue(graph, name, given[name].dtype)
        elif isinstance(values, ak.Array) and values.ndim == 2:
            given[name] = ak.to_numpy(ak.flatten(values))
            given[OFFSETS] = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(values)))])
            graph.offsets[OFFSETS] = OFFSETS
            columns[name] = GraphValue(graph, name, given[name].dtype, OFFSETS)
    expression = parse_expression(text, WHERE)
    found = compute_in_graph(expression, graph, columns, {**table, **(examples or {})}, WHERE)
    nodes, constants = onnx_parts(graph)
    # an input may be the output as well
    nodes.append(onnx.helper.make_node("Identity", [found.name], ["found"]))
    inputs = [_value_info(name, values.dtype) for name, values in given.items()]
    outputs = [_value_info("found", found.dtype)]
    if found.objects is not None:
        # of objects that were chosen, there are fewer
        nodes.append(onnx.helper.make_node("Identity", [graph.offsets[found.objects]], ["ends"]))
        outputs.append(_value_info("ends", np.int64))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "one", inputs, outputs, constants),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result, *ends = session.run(None, given)
    return ak.unflatten(result, np.diff(ends[0])) if ends else result


def _value_info(name: str, dtype: Any) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, [None])


def last_places(found: Any, expected: Any, scale: Any = 0.0) -> float:
    """The largest difference in units of the last place of what is expected, or of ``scale``.

    Of NaN and infinities, 0 where both are the same, else infinity.
    """
    assert found.dtype == expected.dtype
    same = (found == expected) | ((found != found) & (expected != expected))
    if same.all():
        return 0.0
    if expected.dtype.kind != "f":
        return np.inf
    with np.errstate(all="ignore"):
        apart = np.abs(found.astype(np.longdouble) - expected.astype(np.longdouble))
        size = np.maximum(np.abs(expected), np.asarray(scale).astype(expected.dtype))
        units = apart / np.spacing(size).astype(np.longdouble)
    units = np.where(same, 0, np.where(np.isfinite(units), units, np.inf))
    return float(units.max())
