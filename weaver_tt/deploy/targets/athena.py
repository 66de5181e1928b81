"""Athena: the contract of salt (``gnn_config`` version v1), one jet a call.

Scaling happens inside of the graph: sequences are raw values (n, C), numbers of the jet (1, C).
Groups that are masks alone are made inside, as Athena knows of no such variable.

Source: salt, the training framework of ATLAS flavour tagging (its ``to_onnx``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.deploy.export import (
    DeployedNetwork,
    Export,
    GraphForm,
    add_metadata,
    make_metadata,
    trace_graph,
)
from weaver_tt.deploy.golden import ReaderResult, RowReader, Values
from weaver_tt.deploy.preprocess import clip_range
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.signature import MASK
from weaver_tt.deploy.tagger import SALT_CONFIG
from weaver_tt.deploy.targets.base import MODEL, Target
from weaver_tt.errors import OutputError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# objects in the example that is traced; any number of them will do
TRACED_OBJECTS = 4


class Athena(Target):
    """Sequences without an axis of rows, outputs of rank 0 or 1 named MODEL_label."""

    name = "athena"
    title = "SaltModel of Athena"
    form = GraphForm()
    replaces_masks = True

    def flag_refusals(self, opset: int) -> list[str]:
        """A name that is no beginning of a name of outputs."""
        found = super().flag_refusals(opset)
        if not NAME.fullmatch(self.model_name):
            found.append(
                f"name {self.model_name!r}: {self.title} calls outputs MODEL_label; use letters, "
                "digits and _ (--name)"
            )
        return found

    def output_name(self, value: str) -> str:
        """MODEL_label."""
        return f"{self.model_name}_{value}"

    def write(
        self, part: Path, folder: Path, export: Export, opset: int, metadata: Mapping[str, Any]
    ) -> float:
        """Write the graph; there is no file beside it that a reader looks into."""
        graph = AthenaGraph(self, export)
        of_objects = export.graph.per_object
        network = AthenaNetwork(export, of_objects).eval()
        example = []
        for name in graph.inputs:
            group = export.config.batch_groups[name]
            rows = 1 if group.length is None else TRACED_OBJECTS
            example.append(torch.zeros(rows, len(group.variables)))
        model = part / MODEL
        trace_graph(network, example, graph, model, opset)
        own = make_metadata(export.task, export.config, export.graph, export.sidecar)
        # these say how a graph of another form is called
        for key in ("layout", "outputs", "preprocess"):
            del own[key]
        described = {SALT_CONFIG: self.gnn_config(graph, export.config), "target": self.name}
        add_metadata(model, {**own, **metadata, **described}, folder / MODEL)
        # the golden rows compare the numbers
        return 0.0

    def gnn_config(self, graph: AthenaGraph, config: DataConfig) -> dict[str, Any]:
        """What the reader looks for in the metadata."""
        described: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for name in graph.inputs:
            group = config.batch_groups[name]
            variables = [{"name": one, "offset": 0.0, "scale": 1.0} for one in group.names]
            described[group.length is None].append({"name": name, "variables": variables})
        return {
            "onnx_model_version": "v1",
            "model_name": self.model_name,
            "inputs": described[True],
            "input_sequences": described[False],
            "output_names": graph.outputs,
        }

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """One jet a call, with raw values."""
        return AthenaReader(folder, export)

    def is_read_by_tagger(self) -> bool:
        """It has other names and axes."""
        return False

    def usage(self) -> str:
        """In Athena."""
        return (
            f"Athena: `SaltModel` reads `model.onnx`; outputs are called `{self.model_name}_LABEL`."
            " Inputs are raw values, which the graph scales: no file beside it is needed."
        )


class AthenaGraph:
    """Names and axes of the graph."""

    def __init__(self, target: Athena, export: Export) -> None:
        config = export.config
        masks = masks_made_of(export)
        self.inputs = [name for name in export.graph.inputs if name not in masks]
        self.outputs = [target.output_name(name) for name in value_names(export)]
        self.axes: dict[str, dict[int, str]] = {}
        for name in self.inputs:
            if config.batch_groups[name].length is not None:
                self.axes[name] = {0: f"n_{name}"}
        if export.graph.per_object:
            for name in self.outputs:
                self.axes[name] = {0: "n"}


def masks_made_of(export: Export) -> dict[str, str]:
    """Group that is 1 for each object -> the input with these objects, by the same prefix."""
    inputs = export.graph.inputs
    groups = export.config.batch_groups
    is_mask = {name: all(MASK in variable for variable in groups[name].names) for name in inputs}
    found: dict[str, str] = {}
    for name in inputs:
        prefix, _, _ = name.rpartition("_")
        if not is_mask[name] or not prefix or groups[name].length is None:
            continue
        for other in inputs:
            is_alike = other.startswith(f"{prefix}_") and not is_mask[other]
            if is_alike and groups[other].length == groups[name].length:
                found.setdefault(name, other)
    return found


def value_names(export: Export) -> list[str]:
    """The outputs one by one, spreads behind the values."""
    if export.graph.per_object or len(export.graph.outputs) == 1:
        return list(export.graph.values)
    return [*export.graph.values, *(f"{name}_std" for name in export.graph.values)]


class AthenaNetwork(nn.Module):
    """Raw values of one row, (n, C) or (1, C), to its outputs, () or (n,) each."""

    def __init__(self, export: Export, of_objects: bool) -> None:
        super().__init__()
        self.network = DeployedNetwork(export.members, export.task)
        self.of_objects = of_objects
        self.names = list(export.graph.inputs)
        self.masks = masks_made_of(export)
        groups = [export.config.batch_groups[name] for name in self.names]
        self.channels = {group.name: len(group.variables) for group in groups}
        self.lengths = {group.name: group.length for group in groups}
        self.preparations = nn.ModuleList(
            Preparation(group, group.name in export.graph.dynamic) for group in groups
        )
        # which input the objects of the outputs are
        labels = export.config.labels
        labelled = [] if labels is None else list(labels.object_targets)
        self.labelled = labelled[0] if of_objects else ""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Graph inputs -> graph outputs."""
        own = [name for name in self.names if name not in self.masks]
        given = dict(zip(own, inputs, strict=True))
        prepared = []
        for name, preparation in zip(self.names, self.preparations, strict=True):
            if name in self.masks:
                ones = torch.ones_like(given[self.masks[name]][:, :1])  # (n, 1)
                values = ones.repeat(1, self.channels[name])
            else:
                values = given[name]
            prepared.append(preparation(values))
        outputs = self.network(*prepared)
        if not self.of_objects:
            return tuple(value for output in outputs for value in output[0].unbind(0))
        objects = given[self.labelled].shape[0]
        longest = self.lengths[self.labelled]
        return tuple(output[0, :longest][:objects] for output in outputs)


class Preparation(nn.Module):
    """Raw values of one group of one row, (n, C) or (1, C) -> (1, C, P) or (1, C)."""

    # (C,) each
    center: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    replacement: Tensor
    padding: Tensor  # (1, C, slots)

    def __init__(self, group: InputGroup, is_dynamic: bool) -> None:
        super().__init__()
        self.length = group.length
        self.is_dynamic = is_dynamic
        variables = group.variables
        ranges = [clip_range(variable) for variable in variables]
        numbers = {
            "center": [float(v.center) if v.center is not None else 0.0 for v in variables],
            "scale": [1.0 if v.center is None else v.scale for v in variables],
            "low": [low for low, _ in ranges],
            "high": [high for _, high in ranges],
            "replacement": [v.replacement for v in variables],
        }
        for name, values in numbers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        # one slot of padding at least, so that there is something where there is no object
        slots = 1 if is_dynamic else group.length or 0
        pad = torch.tensor([v.pad for v in variables], dtype=torch.float32)
        self.register_buffer("padding", pad[None, :, None].repeat(1, 1, slots))

    def forward(self, values: Tensor) -> Tensor:
        """Scale, clip, pad and cut off."""
        finite = torch.where(torch.isfinite(values), values, self.replacement)
        scaled = (finite - self.center) * self.scale
        scaled = torch.minimum(torch.maximum(scaled, self.low), self.high)
        if self.length is None:
            return scaled
        objects = scaled[: self.length].transpose(0, 1).unsqueeze(0)  # (1, C, n)
        slots = torch.cat([objects, self.padding], 2)  # (1, C, n + slots)
        return slots if self.is_dynamic else slots[:, :, : self.length]


class AthenaReader:
    """The graph called with the raw values of one row."""

    def __init__(self, folder: Path, export: Export) -> None:
        self.session = open_session(folder / MODEL, 1)
        self.folder = folder
        self.groups = export.config.batch_groups
        self.is_of_objects = export.graph.per_object

    def __call__(self, columns: Values) -> ReaderResult:
        """The outputs of a row with these variables, () or (n,) each.

        Raises:
            OutputError: ONNX Runtime cannot run it.
        """
        tensors: Values = {}
        objects = 0
        for item in self.session.get_inputs():
            values = [np.atleast_1d(columns[name]) for name in self.groups[item.name].names]
            with np.errstate(over="ignore"):
                tensors[item.name] = np.stack(values, 1).astype(np.float32)  # (n, C) or (1, C)
            objects = max(objects, len(values[0]))
        names = [item.name for item in self.session.get_outputs()]
        try:
            results = self.session.run(names, tensors)
        # errors of ONNX Runtime have no common base
        except Exception as error:
            raise OutputError(f"{self.folder}: ONNX Runtime cannot run a row: {error}") from error
        outputs: Values = {}
        for name, result in zip(names, results, strict=True):
            found = np.asarray(result)
            if self.is_of_objects:
                beyond = np.full(objects - len(found), np.nan, np.float32)
                found = np.concatenate([found, beyond])
            outputs[name] = found
        inputs = {name: values[None] for name, values in tensors.items()}
        return ReaderResult(outputs, inputs, are_prepared=False)
