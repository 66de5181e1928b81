"""Small exports of every kind, with rows whose outputs torch computed: for all that runs them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.export import Export, export_onnx
from weaver_tt.deploy.folder import export_folder
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.tasks.registry import make_task

LENGTH = 6
NAMES = ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")


class DeepSet(nn.Module):
    """Jets (N, 4, P) and, if any, numbers of the event (N, C): each jet, or all of them."""

    def __init__(self, seed: int, outputs: int, event: int = 0, per_jet: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner = nn.Conv1d(4, 8, 1)
            self.outer = nn.Linear(8 + event, outputs)
        self.per_jet = per_jet

    def forward(self, jets: Tensor, *others: Tensor) -> Tensor:
        real = (jets[:, :1] != 0).float()  # (N, 1, P)
        hidden = torch.tanh(self.inner(jets)) * real  # (N, 8, P)
        if self.per_jet:
            mean = hidden.sum(2, keepdim=True) / real.sum(2, keepdim=True).clamp(min=1)
            return self.outer((hidden + mean).transpose(1, 2)).transpose(1, 2)
        event = [other for other in others if other.dim() == 2]
        return self.outer(torch.cat([hidden.sum(2), *event], 1))


def jets_config(**changes: Any) -> DataConfig:
    """Jets with one label each."""
    scaled = [["jet_pt", 50, 0.02], ["jet_eta", 0, 1], ["jet_phi", None], ["jet_flavour", None]]
    values = {
        "inputs": {"jets": {"length": LENGTH, "vars": scaled}},
        "labels": {"type": "per_object", "group": "jets", "value": ["istag"]},
    }
    return from_mapping(values | changes, source="test.yaml")


# met is scaled in one group of the graph, and raw in another
DERIVED = {"D_b": "np.log(is_b / (0.1 * is_a + is_c))", "met_of_b": "met * is_b"}


def event_config(derived: dict[str, str] = DERIVED) -> DataConfig:
    """Classes of events with jets, their mask, and numbers of the event, and what is derived."""
    config = jets_config().inputs["jets"]
    return jets_config(
        inputs={
            "pf_features": {
                "length": LENGTH,
                "vars": [["jet_pt", 50, 0.02, -5, 5, 0], *([name, None] for name in NAMES[1:])],
            },
            "pf_mask": {"length": config.length, "vars": [["pf_mask", None]]},
            "event": {"length": None, "vars": [["met", 30, 0.1, -2, 2], ["npv", None]]},
        },
        labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]},
        derived_outputs=derived,
    )


def events(rows: int, seed: int) -> list[dict[str, Any]]:
    """Columns of each row: up to two jets more than fit, NaN and infinity among them."""
    numbers = np.random.default_rng(seed)
    found = []
    for row in range(rows):
        count = row % (LENGTH + 3)
        columns: dict[str, Any] = {
            "jet_pt": numbers.exponential(50, count) + 20,
            "jet_eta": numbers.normal(size=count),
            "jet_phi": numbers.uniform(-3, 3, count),
            "jet_flavour": numbers.choice([0.0, 4.0, 5.0], count),
            "met": numbers.exponential(40),
            "npv": float(numbers.integers(60)),
        }
        if count > 2:
            columns["jet_pt"][1] = (np.nan, np.inf, -np.inf)[row % 3]
        found.append(columns)
    return found


def tensors_of(config: DataConfig, row: dict[str, Any]) -> dict[str, Tensor]:
    """What the network is given of one row, made value by value."""
    tensors = {}
    for name, group in config.batch_groups.items():
        channels = []
        for variable in group.variables:
            if variable.name.endswith("_mask"):
                values = np.ones_like(row["jet_pt"])
            else:
                values = np.atleast_1d(row[variable.name])
            values = np.where(np.isfinite(values), values, 0).astype(np.float32)
            if variable.center is not None:
                values = np.clip(
                    (values - np.float32(variable.center)) * np.float32(variable.scale),
                    np.float32(variable.low),
                    np.float32(variable.high),
                )
            if group.length is not None:
                kept = values[: group.length]
                values = np.full(group.length, variable.pad, np.float32)
                values[: len(kept)] = kept
            channels.append(values)
        tensor = torch.tensor(np.stack(channels), dtype=torch.float32)[None]
        tensors[name] = tensor if group.length is not None else tensor[:, :, 0]
    return tensors


def sample_of(config: DataConfig, rows: list[dict[str, Any]]) -> SampleRows:
    """Rows as a training keeps them: raw columns, and tensors made value by value."""
    raw = {name: ak.Array([row[name] for row in rows]) for name in rows[0]}
    raw["pf_mask"] = ak.ones_like(raw["jet_pt"])
    parts = [tensors_of(config, row) for row in rows]
    tensors = {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}
    return SampleRows(tensors, raw)


def write_target(
    folder: Path, target_name: str, config: DataConfig, modules: list[nn.Module], **more: Any
) -> dict[str, Any]:
    """An export for a target to ``folder``; returns what ``golden.json`` says.

    ``takes`` are the groups that the network is given, all of them by default.
    """
    target = TARGETS[target_name](more.pop("name", "tagger"))
    members = [
        Network(module, list(more.get("takes", config.inputs)), info=more.pop("info", {}))
        for module in modules
    ]
    sample = more.pop("sample", None) or sample_of(config, events(40, seed=1))
    export = Export(members, make_task(config), config, sample.tensors, form=target.form)
    more.pop("takes", None)
    settings = {"opset": 17, "metadata": {}} | more
    export_folder(target, export, sample, folder, **settings)
    content: dict[str, Any] = json.loads((folder / "golden.json").read_text())
    return content


def shapes_of(folder: Path) -> dict[str, list[Any]]:
    """Inputs and outputs of the graph in a folder, with names for what is free."""
    graph = onnx.load(str(folder / "model.onnx")).graph
    found = {}
    for value in [*graph.input, *graph.output]:
        sizes = value.type.tensor_type.shape.dim
        found[value.name] = [size.dim_param or size.dim_value for size in sizes]
    return found


def lengths_of(folder: Path) -> dict[str, dict[str, int]]:
    """What ``preprocess.json`` in a folder says of the lengths of each group."""
    content = json.loads((folder / "preprocess.json").read_text())
    return {
        name: {key: value for key, value in group.items() if key.endswith("length")}
        for name, group in content.items()
        if isinstance(group, dict)
    }


class JetsAndTracks(DeepSet):
    """Each jet, with what the tracks of the row add."""

    def forward(self, tracks: Tensor, jets: Tensor) -> Tensor:
        return super().forward(jets) + tracks.sum((1, 2))[:, None, None]


def write_tracks_and_jets(folder: Path) -> dict[str, Any]:
    """A graph of raw columns with outputs of jets; tracks, of another number, stand before."""
    scaled = [[one.name, one.center, one.scale] for one in jets_config().inputs["jets"].variables]
    config = jets_config(
        inputs={
            "tracks": {"length": 9, "vars": ["track_d0"]},
            "jets": {"length": LENGTH, "vars": scaled},
        }
    )
    rows = events(40, seed=1)
    for number, row in enumerate(rows):
        row["track_d0"] = np.arange(number % 4, dtype=float)
    modules: list[nn.Module] = [JetsAndTracks(0, 1, per_jet=True)]
    return write_target(folder, "raw", config, modules, sample=sample_of(config, rows))


def write_export(folder: Path, config: DataConfig, modules: list[nn.Module]) -> None:
    """An export to ``folder``, with golden rows computed here by torch."""
    task = make_task(config)
    members = [Network(module, list(config.inputs)) for module in modules]
    export_onnx(members, task, config, folder / "model.onnx")
    names = json.loads((folder / "preprocess.json").read_text())["output_names"]
    rows = []
    for row in events(40, seed=1):
        count = len(row["jet_pt"])
        with torch.no_grad():
            value, spread = Ensemble(members, task)(tensors_of(config, row)).joined()
        both = [value[0]] if spread is None else [value[0], spread[0]]
        expected: list[Any] = as_json(torch.cat(both).tolist())
        if value.dim() == 3:
            # jets beyond the length are not given to the network
            beyond = ["NaN"] * max(0, count - LENGTH)
            expected = [values[:count] + beyond for values in expected]
        columns = {name: as_json(values) for name, values in row.items()}
        rows.append(
            {
                "kind": "real",
                "columns": columns,
                "outputs": dict(zip(names, expected, strict=True)),
                "tolerance": {"absolute": 1e-5, "relative": 1e-5},
            }
        )
    (folder / "golden.json").write_text(json.dumps({"rows": rows}))


def as_json(values: Any) -> Any:
    if np.ndim(values):
        return [as_json(value) for value in values]
    words = {np.inf: "Infinity", -np.inf: "-Infinity"}
    return "NaN" if np.isnan(values) else words.get(values, float(values))


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports of several kinds, by name."""
    folder = tmp_path_factory.mktemp("exports")
    made = {name: folder / name for name in ("jets", "ensemble", "event")}
    write_export(made["jets"], jets_config(), [DeepSet(0, 1, per_jet=True)])
    two = [DeepSet(seed, 1, per_jet=True) for seed in (1, 2)]
    write_export(made["ensemble"], jets_config(), two)  # type: ignore[arg-type]
    write_export(made["event"], event_config(), [DeepSet(0, 3, event=2)])
    return made


def write_mixed_model(folder: Path, several: bool) -> list[dict[str, Any]]:
    """A model as CMS has published them: (N, C, P, 1), ``input_shape``, classes and a target.

    The sums s of pt and eta over 3 slots give (softmax(s), s_pt + s_eta), in one output or in two.
    Returned are the columns of two rows with the outputs worked out by hand.
    """

    def tensor(name: str, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

    slots = helper.make_tensor("slots", TensorProto.INT64, [2], [2, 3])
    last = helper.make_tensor("last", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceSum", ["pfcand", "slots"], ["sums"], keepdims=0),
        helper.make_node("Softmax", ["sums"], ["softmax"], axis=1),
        helper.make_node("ReduceSum", ["sums", "last"], ["mass"], keepdims=1),
        helper.make_node("Concat", ["softmax", "mass"], ["output"], axis=1),
    ]
    outputs = [tensor("softmax", 2), tensor("mass", 1)] if several else [tensor("output", 3)]
    graph = helper.make_graph(nodes, "g", [tensor("pfcand", 2, 3, 1)], outputs, [slots, last])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(exist_ok=True)
    onnx.save(model, str(folder / "model.onnx"))
    bounds = {"replace_inf_value": 0, "lower_bound": -5, "upper_bound": 5}
    infos = {
        "pf_pt": {"median": 1, "norm_factor": 0.5, **bounds},
        "pf_eta": {"median": 0, "norm_factor": 1, **bounds},
    }
    sidecar = {
        "output_names": ["probX", "probQCD", "massCorr"],
        "target_names": ["massCorr"],
        "input_names": ["pfcand"],
        "pfcand": {
            "input_shape": [1, 2, 3, 1],
            "var_names": ["pf_pt", "pf_eta"],
            "var_infos": infos,
        },
    }
    (folder / "preprocess.json").write_text(json.dumps(sidecar))
    # s = (1 + 2, 0.5 - 0.5), and of no object 0
    score = 1 / (1 + math.exp(-3))
    rows = [
        {
            "columns": {"pf_pt": [3.0, 5.0], "pf_eta": [0.5, -0.5]},
            "outputs": {"probX": score, "probQCD": 1 - score, "massCorr": 3.0},
        },
        {
            "columns": {"pf_pt": [], "pf_eta": []},
            "outputs": {"probX": 0.5, "probQCD": 0.5, "massCorr": 0.0},
        },
    ]
    tolerance = {"absolute": 1e-6, "relative": 0}
    golden = {"rows": [{**row, "kind": "by hand", "tolerance": tolerance} for row in rows]}
    (folder / "golden.json").write_text(json.dumps(golden))
    return rows
