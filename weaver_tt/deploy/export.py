"""One or several trained networks -> ``model.onnx`` with everything a reader needs, accepted only when it gives the numbers of torch.

The legacy (tracing) exporter writes IR versions that today's C++ frameworks read, but turns some operations into silently wrong graphs and
freezes sizes that pass through Python: therefore each export is compared with torch, on real rows, before it gets its name.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

import weaver_tt
from weaver_tt.config.load import save_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.compare import (
    MAX_DIFFERENCE,
    largest_difference,
    select_inputs,
    with_empty_rows,
)
from weaver_tt.deploy.onnx_network import SPREAD, OnnxNetwork
from weaver_tt.deploy.operators import explain_export_error
from weaver_tt.deploy.preprocess import make_preprocess
from weaver_tt.deploy.sample import Sample, random_sample
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.log import log
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.network.outputs import Output
from weaver_tt.run_files import RunFiles
from weaver_tt.system.git import git_hash
from weaver_tt.tasks.base import Task

NEWEST_IR = 8  # of the ONNX Runtime in FCCAnalyses, k4MLJetTagger and CMSSW


class DeployedNetwork(nn.Module):
    """What is exported: each member's activated output, their mean and, of several, their spread.

    Inputs are positional, (N, C, P) or (N, C); outputs are graph outputs: K times (N, P) for per-object networks, else one (N, K); then as
    many standard deviations (of the population) when there are several members.
    """

    def __init__(self, modules: list[nn.Module], activate: Callable[[Output], Tensor]) -> None:
        """``activate``: what a module returns -> the activated tensor, ``task.activated_output``."""
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.activate = activate

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Graph inputs -> graph outputs."""
        outputs = torch.stack(
            [self.activate(member(*inputs)) for member in self.members]
        )  # (E, N, K) or (E, N, K, P)
        mean = outputs.mean(0)
        if len(self.members) == 1:
            return _graph_outputs(mean)
        spread = (outputs - mean).square().mean(0).sqrt()
        return _graph_outputs(mean) + _graph_outputs(spread)


def _graph_outputs(output: Tensor) -> tuple[Tensor, ...]:
    """(N, K, P) -> K times (N, P); (N, K) -> itself; (N,) -> (N, 1)."""
    if output.dim() == 3:
        return output.unbind(1)
    return (output if output.dim() == 2 else output.unsqueeze(1),)


class Graph:
    """Names, axes and layout of a graph's inputs and outputs."""

    def __init__(self, members: list[Network], task: Task, config: DataConfig, rank: int) -> None:
        info = members[0].info
        self.inputs = list(members[0].input_names)
        self.per_object = rank == 3
        names = (
            list(task.output_names)
            if self.per_object
            else list(info.get("output_names") or ["output"])[:1]
        )
        self.outputs = names + ([name + SPREAD for name in names] if len(members) > 1 else [])
        # what a reader calls the values: the graph's outputs, or the K columns of its only output
        self.values = list(self.outputs if self.per_object else task.output_names)
        self.dynamic = [
            name
            for name in self.inputs
            if config.inputs[name].length is not None
            and _is_dynamic(name, info.get("dynamic_axes"))
        ]
        self.axes = self._axes(config)

    def _axes(self, config: DataConfig) -> dict[str, dict[int, str]]:
        # groups of different objects must not share a symbol
        symbols = {name: "P" if len(self.dynamic) == 1 else f"P_{name}" for name in self.dynamic}
        axes = {
            name: {0: "N"} | ({2: symbols[name]} if name in symbols else {}) for name in self.inputs
        }
        group = config.labels.group if config.labels else None
        objects = {1: symbols[group]} if self.per_object and group in symbols else {}
        return axes | {name: {0: "N"} | objects for name in self.outputs}


def _is_dynamic(name: str, axes: Mapping[str, Any] | None) -> bool:
    """Groups take any number of objects unless the network file's ``dynamic_axes`` lists the group without axis 2."""
    return not axes or name not in axes or 2 in axes[name]


def export_onnx(
    members: list[Network],
    task: Task,
    config: DataConfig,
    path: str | Path,
    *,
    opset: int = 17,
    sample: Sample | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> float:
    """Write ``path``, ``preprocess.json`` and (with training statistics) ``NAME.auto.yaml`` beside it; returns the difference to torch.

    ``members``: networks on the CPU, equal but for their weights. ``sample``: real rows to compare on (see ``sample.py``); seeded random rows
    and a warning without. ``metadata``: what else to keep in the file (``training``: a summary), text or anything JSON can say.

    Raises OutputError, leaving nothing behind, when an operator cannot be exported, the file would be too new for C++ readers, or results
    differ from torch by more than 1e-5 for any N and P; ConfigError when statistics are missing.
    """
    path = Path(path)
    if config.needs_statistics:
        raise ConfigError(
            f"{config.source}: has centers that are auto, and their statistics are missing; export needs PREFIX.auto.yaml"
        )
    if sample is None:
        log.warning(
            "no sample of training rows beside the model and no --data-test: comparing on random rows"
        )
        sample = random_sample(config)
    rows = with_empty_rows(select_inputs(sample, config, list(members[0].input_names)), config)
    reference = Ensemble(members, task)
    for member in members:
        member.eval()
    example = {name: torch.tensor(array[:3]) for name, array in rows.items()}
    with torch.no_grad():
        graph = Graph(members, task, config, reference(example)[0].dim())
    side_car = make_preprocess(config, graph.inputs, graph.values, graph.dynamic)
    notes = export_metadata(task, config, graph, side_car) | dict(metadata or {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            part = Path(folder) / path.name
            warned = trace_graph(
                DeployedNetwork([member.unwrapped for member in members], task.activated_output),
                example,
                graph,
                part,
                opset,
            )
            add_metadata(part, notes, path)
            difference = verify_export(
                reference, OnnxNetwork(part, config), rows, config, graph, path, warned
            )
            move_into_place(part, path.parent, side_car, config)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    log.info(
        "%s: largest difference to torch %.2g (allowed %.0e), %d rows",
        path,
        difference,
        MAX_DIFFERENCE,
        len(next(iter(rows.values()))),
    )
    return difference


def move_into_place(part: Path, folder: Path, side_car: dict[str, Any], config: DataConfig) -> None:
    """Write the side-cars beside the accepted file ``part``, then move all into ``folder``."""
    (part.parent / "preprocess.json").write_text(json.dumps(side_car, indent=2, allow_nan=False))
    if config.preprocess.params:
        save_config(
            config,
            str(RunFiles.of(part).auto_yaml),
            config.preprocess.params,
            config.preprocess.fingerprint,
        )
    # the model last: where it is, all is
    for file in sorted(part.parent.iterdir(), key=lambda file: file == part):
        os.replace(file, folder / file.name)


def trace_graph(
    module: DeployedNetwork, example: dict[str, Tensor], graph: Graph, path: Path, opset: int
) -> list[str]:
    """Write the bare graph to ``path``; returns what the tracer warned of. OutputError names an operator that ONNX does not have."""
    inputs = tuple(example[name] for name in graph.inputs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                module.eval(),
                inputs,
                str(path),
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_axes=graph.axes,
                opset_version=opset,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise OutputError(
                f"the network cannot be exported: {explain_export_error(error, module, inputs, opset)}"
            ) from error
    # the exporter announces its own retirement; only what it says about this network is of interest
    return [
        str(warning.message)
        for warning in caught
        if issubclass(warning.category, torch.jit.TracerWarning)
    ]


def export_metadata(
    task: Task, config: DataConfig, graph: Graph, side_car: dict[str, Any]
) -> dict[str, Any]:
    """What the file says about itself."""
    return {
        "weaver_tt_version": weaver_tt.__version__,
        "git_hash": git_hash() or "unknown",
        "task": task.name,
        "layout": "objects" if graph.per_object else "rows",
        "outputs": list(task.output_names),
        "inputs": {name: config.inputs[name].names for name in graph.inputs},
        "preprocess": side_car,
        "data_config": config.text,
    }


def add_metadata(part: Path, notes: Mapping[str, Any], path: Path) -> None:
    """Add the metadata and make sure that readers in the field can load the file."""
    model = onnx.load(str(part))
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in notes.items()
    }
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, str(part))
    onnx.checker.check_model(str(part), full_check=True)
    written = onnx.load(str(part), load_external_data=False).ir_version
    if written > NEWEST_IR:
        raise OutputError(
            f"{path}: this operator set needs ONNX IR version {written}, readers know {NEWEST_IR} and older; --onnx-opset 17 fits"
        )


def verify_export(
    reference: Ensemble,
    exported: OnnxNetwork,
    rows: Sample,
    config: DataConfig,
    graph: Graph,
    path: Path,
    warned: list[str],
) -> float:
    """The largest difference to torch; OutputError when it is more than rounding."""
    try:
        difference = largest_difference(reference, exported, rows, config, graph.dynamic)
    except OutputError as error:
        raise OutputError(
            f"{path}: not written, it cannot be compared with torch: {error}"
        ) from error
    if difference > MAX_DIFFERENCE:
        hint = f"; tracing warned: {warned[0]}" if warned else ""
        raise OutputError(
            f"{path}: not written, the exported network differs from torch by {difference:.2g} (allowed {MAX_DIFFERENCE:.0e}){hint}"
        )
    return difference
