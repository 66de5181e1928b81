"""An exported network in ONNX Runtime, called exactly like the torch networks it was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.preprocess import variable_info
from weaver_tt.errors import ConfigError, OutputError, nearest
from weaver_tt.network.outputs import Activated

SPREAD = "_std"  # what the name of an output's spread ends in


class OnnxNetwork:
    """``model.onnx`` as a network: inputs -> (activated output, spread or None), on the CPU.

    ``path``: a file that :func:`weaver_tt.deploy.export.export_onnx` wrote. ``config``: the data that it will see; ConfigError when its inputs
    or their scaling are not those that the network was trained on. ``threads``: of ONNX Runtime, None leaves the choice to it.
    """

    activated = True
    device = torch.device("cpu")

    def __init__(self, path: str | Path, config: DataConfig, threads: int | None = None) -> None:
        self.path = Path(path)
        self.session = _session(self.path, threads)
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.input_names = [item.name for item in self.session.get_inputs()]
        if not {"layout", "outputs", "preprocess"} <= self.metadata.keys():
            raise ConfigError(
                f"{self.path}: not written by weaver_tt (its metadata say nothing of layout, outputs and preprocess)"
            )
        _check_inputs(self.path, json.loads(self.metadata["preprocess"]), self.input_names, config)
        self.per_object = self.metadata["layout"] == "objects"

    def __call__(self, inputs: Mapping[str, Tensor]) -> Activated:
        """Inputs by group, (N, C, P) or (N, C) -> (N, K, P) per object or (N, K) per row, and its spread if the file has one."""
        arrays = {name: inputs[name].detach().cpu().numpy() for name in self.input_names}
        names = [item.name for item in self.session.get_outputs()]
        try:
            outputs = dict(zip(names, self.session.run(names, arrays), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no common base
            shapes = {name: array.shape for name, array in arrays.items()}
            raise OutputError(
                f"{self.path}: ONNX Runtime cannot run inputs of shape {shapes}: {error}"
            ) from error
        spreads = [
            name for name in names if name.endswith(SPREAD) and name.removesuffix(SPREAD) in names
        ]
        values = self._join([outputs[name] for name in names if name not in spreads])
        spread = self._join([outputs[name] for name in spreads]) if spreads else None
        return Activated(values, spread)

    def _join(self, outputs: list[Any]) -> Tensor:
        """Graph outputs -> one tensor: K times (N, P) -> (N, K, P); (N, K) as it is."""
        return torch.from_numpy(np.stack(outputs, axis=1) if self.per_object else outputs[0])

    def train(self, mode: bool = True) -> OnnxNetwork:
        """Does nothing: an exported network only evaluates."""
        return self

    def eval(self) -> OnnxNetwork:
        """Does nothing: an exported network only evaluates."""
        return self


def _session(path: Path, threads: int | None) -> Any:
    import onnxruntime  # slow to import, and only needed here

    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; {nearest(path.name, (item.name for item in path.parent.glob('*.onnx')))}"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = (
        4  # its errors are raised here as well; its warnings are about graph optimisation
    )
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise ConfigError(f"{path}: not a network that ONNX Runtime can load: {error}") from error


def _check_inputs(
    path: Path, trained: dict[str, Any], input_names: list[str], config: DataConfig
) -> None:
    """The data must have the inputs of training: groups, variables in order, scaling."""
    for name in input_names:
        if name not in config.inputs:
            raise ConfigError(
                f"{path}: takes input {name!r}, which {config.source} does not define; {nearest(name, config.inputs)}"
            )
        expected, found = trained[name]["var_names"], config.inputs[name].names
        if expected != found:
            raise ConfigError(
                f"{path}: input {name!r} has the {len(expected)} variables {', '.join(expected)}; "
                f"{config.source} gives {len(found)}: {', '.join(found)}"
            )
        for variable in config.inputs[name].variables:
            before, now = (
                trained[name]["var_infos"][variable.name],
                variable_info(variable, config.source),
            )
            if before != now:
                raise ConfigError(
                    f"{path}: input {name!r} was trained with {variable.name!r} prepared as {before}; {config.source} says {now}"
                )
