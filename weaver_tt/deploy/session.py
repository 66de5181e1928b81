"""ONNX Runtime's session for a file. Needs no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from weaver_tt.errors import ConfigError
from weaver_tt.system.missing_files import no_such_file

MAX_VALUES = 2**28  # of one tensor of a graph, for one row: 1 GB


def open_session(path: Path, threads: int | None) -> Any:
    """ONNX Runtime's session for the file; ``threads``: of one call (None: its own choice).

    Raises:
        ConfigError: there is no such file, or it holds no network.
    """
    # slow to import, and only needed here
    import onnxruntime

    if not path.is_file():
        raise ConfigError(no_such_file(path, ".onnx"))
    _check_sizes(path)
    options = onnxruntime.SessionOptions()
    # its errors are raised as exceptions too, and its warnings are about graph optimization
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # errors of ONNX Runtime have no common base
    except Exception as error:
        raise ConfigError(f"{path}: not a network that ONNX Runtime can load: {error}") from error


def _check_sizes(path: Path) -> None:
    """Check that no constant of the graph is larger than memory, where onnx is installed.

    ONNX Runtime makes constants when it opens a file, and a few bytes can ask for any size.

    Raises:
        ConfigError: one is, or the file is no graph.
    """
    try:
        # slow to import, and only needed here
        import onnx
    except ImportError:
        return
    try:
        model = onnx.load(str(path), load_external_data=False)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    # errors of protobuf and of onnx have no common base
    except Exception as error:
        raise ConfigError(f"{path}: not a network that ONNX Runtime can load: {error}") from error
    for value in inferred.graph.value_info:
        sizes = [entry.dim_value for entry in value.type.tensor_type.shape.dim]
        # a dimension without a number is one of the input
        values = math.prod(max(1, size) for size in sizes)
        if values > MAX_VALUES:
            raise ConfigError(f"{path}: {value.name!r} would hold {values} values")
