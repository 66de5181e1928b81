"""An export has the numbers of torch for any N and P and says what it is, or leaves no files."""

import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy import export
from weaver_tt.deploy.export import DeployedNetwork, export_onnx
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import random_sample
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.network.network import Ensemble, Network, build_network
from weaver_tt.options.train import NetworkOptions
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.registry import make_task

LENGTH = 6


def config_of(**changes: Any) -> DataConfig:
    """Jets with one label to learn."""
    values = {
        "inputs": {
            "jets": {
                "length": LENGTH,
                "vars": [[f"jet_{name}", None] for name in ("pt", "eta", "phi", "flavour")],
            }
        },
        "labels": {"type": "per_object", "group": "jets", "value": ["jet_istag"]},
    }
    return from_mapping(values | changes, source="test.yaml")


class DeepSet(nn.Module):
    """(N, 4, P) -> (N, K, P): each jet and the mean over the row's real jets."""

    def __init__(self, outputs: int = 1, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner = nn.Conv1d(4, 8, 1)
            self.outer = nn.Conv1d(16, outputs, 1)

    def forward(self, jets: Tensor) -> Tensor:
        real = (jets[:, :1] > 0).float()  # (N, 1, P)
        hidden = torch.tanh(self.inner(jets / 100)) * real  # (N, 8, P)
        return self.outer(torch.cat([hidden, self.mean(hidden, real).expand_as(hidden)], 1)) * real

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return hidden.sum(2, keepdim=True) / real.sum(2, keepdim=True).clamp(min=1)


class FrozenP(DeepSet):
    """Divides by a Python number that tracing turns into a constant."""

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return hidden.sum(2, keepdim=True) / float(hidden.shape[2])


class FrozenN(DeepSet):
    """Multiplies by ones made for the number of rows that tracing saw."""

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return hidden.mean(2, keepdim=True) * torch.ones(int(hidden.shape[0]), 1, 1)


class DependsOnExport(DeepSet):
    """Computes something slightly else in the exported form, as a wrong dense form would."""

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return super().mean(hidden, real) + (1e-3 if torch.onnx.is_in_onnx_export() else 0)


class Leading(DependsOnExport):
    """As that, and looks at the largest entry."""

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return super().mean(hidden, real) + hidden.topk(1, dim=2).values


class Bessel(DeepSet):
    """Uses an operator that ONNX does not have."""

    def mean(self, hidden: Tensor, real: Tensor) -> Tensor:
        return torch.special.bessel_j0(super().mean(hidden, real))


class Pooled(DeepSet):
    """(N, 4, P) -> (N, K)."""

    def forward(self, jets: Tensor) -> Tensor:
        return super().forward(jets).sum(2)


def network_of(module: nn.Module, inputs: tuple[str, ...] = ("jets",), **info: Any) -> Network:
    return Network(module, inputs, info=info)


def run(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The graph's outputs by name, from ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(
        zip([item.name for item in session.get_outputs()], session.run(None, inputs), strict=True)
    )


def notes(path: Path) -> dict[str, str]:
    return {item.key: item.value for item in onnx.load(str(path)).metadata_props}


@pytest.fixture
def config() -> DataConfig:
    return config_of()


@pytest.fixture
def task(config: DataConfig) -> Task:
    return make_task(config)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def rows(number: int, objects: int) -> np.ndarray:
    return random_sample(config_of(), rows=number, seed=5)["jets"][:, :, :objects]


def test_the_graph_gives_torchs_efficiencies_for_any_rows_and_objects(config, task, path):
    network = network_of(DeepSet())
    assert export_onnx([network], task, config, path) < 1e-5
    for number, objects in [(1, 1), (5, 3), (300, LENGTH)]:
        jets = rows(number, objects)
        found = run(path, jets=jets)
        with torch.no_grad():
            expected = torch.sigmoid(network.unwrapped(torch.tensor(jets))).numpy()[:, 0]  # (N, P)
        assert list(found) == ["jet_eff"]
        np.testing.assert_allclose(found["jet_eff"], expected, atol=1e-6)


def test_the_file_is_one_that_readers_in_the_field_load(config, task, path):
    export_onnx([network_of(DeepSet())], task, config, path)
    model = onnx.load(str(path))
    assert model.ir_version <= 8
    assert [opset.version for opset in model.opset_import] == [17]
    (jets,) = model.graph.input
    (out,) = model.graph.output
    assert (
        jets.name,
        [dim.dim_param or dim.dim_value for dim in jets.type.tensor_type.shape.dim],
    ) == ("jets", ["N", 4, "P"])
    assert (
        out.name,
        [dim.dim_param or dim.dim_value for dim in out.type.tensor_type.shape.dim],
    ) == ("jet_eff", ["N", "P"])


def test_a_newer_file_format_is_refused(config, task, path):
    with pytest.raises(OutputError, match="IR version 9"):
        export_onnx([network_of(DeepSet())], task, config, path, opset=20)
    assert list(path.parent.iterdir()) == []


def test_several_labels_give_an_output_each(path):
    config = config_of(
        labels={"type": "per_object", "value": {"loose": "jet_b > 0.1", "tight": "jet_b > 0.7"}}
    )
    network = network_of(DeepSet(outputs=2))
    export_onnx([network], make_task(config), config, path)
    jets = rows(9, 4)
    found = run(path, jets=jets)
    with torch.no_grad():
        expected = torch.sigmoid(network.unwrapped(torch.tensor(jets))).numpy()
    assert list(found) == ["jet_eff_loose", "jet_eff_tight"]
    np.testing.assert_allclose(np.stack(list(found.values()), 1), expected, atol=1e-6)
    assert json.loads((path.parent / "preprocess.json").read_text())["output_names"] == [
        "jet_eff_loose",
        "jet_eff_tight",
    ]


def test_an_ensemble_gives_mean_and_population_spread(config, task, path):
    members = [network_of(DeepSet(seed=seed)) for seed in range(3)]
    export_onnx(members, task, config, path)
    jets = rows(9, 4)
    with torch.no_grad():
        each = np.stack(
            [
                torch.sigmoid(member.unwrapped(torch.tensor(jets))).numpy()[:, 0]
                for member in members
            ]
        )
    found = run(path, jets=jets)
    assert list(found) == ["jet_eff", "jet_eff_std"]
    assert json.loads((path.parent / "preprocess.json").read_text())["output_names"] == list(found)
    np.testing.assert_allclose(found["jet_eff"], each.mean(0), atol=1e-6)
    np.testing.assert_allclose(found["jet_eff_std"], each.std(0), atol=1e-6)


def test_classes_are_one_output_named_by_the_network_file(path):
    config = config_of(labels={"type": "simple", "value": ["b", "c", "light"]})
    network = network_of(Pooled(outputs=3), output_names=["softmax"])
    export_onnx([network, network_of(Pooled(outputs=3, seed=1))], make_task(config), config, path)
    found = run(path, jets=rows(9, 4))
    assert {name: values.shape for name, values in found.items()} == {
        "softmax": (9, 3),
        "softmax_std": (9, 3),
    }
    np.testing.assert_allclose(found["softmax"].sum(1), 1, atol=1e-6)
    assert json.loads((path.parent / "preprocess.json").read_text())["output_names"] == [
        "b",
        "c",
        "light",
    ]


class WithScalars(DeepSet):
    """Adds the event's own number to each jet's output."""

    def forward(self, jets: Tensor, event: Tensor) -> Tensor:
        return super().forward(jets) + event.unsqueeze(2)


def test_scalars_are_inputs_without_objects(config, path):
    config = config_of(
        inputs={
            "jets": {"length": LENGTH, "vars": [[f"jet_{name}", None] for name in "abcd"]},
            "event": {"vars": [["met", 50, 0.01]]},
        }
    )
    export_onnx([network_of(WithScalars(), ("jets", "event"))], make_task(config), config, path)
    event = onnx.load(str(path)).graph.input[1]
    assert [dim.dim_param or dim.dim_value for dim in event.type.tensor_type.shape.dim] == ["N", 1]
    found = run(
        path, jets=np.zeros((2, 4, 3), np.float32), event=np.array([[0], [np.log(3)]], np.float32)
    )
    np.testing.assert_allclose(
        found["jet_eff"], [[0.5] * 3, [0.75] * 3], atol=1e-6
    )  # sigmoid(0), sigmoid(log 3)


@pytest.mark.parametrize("name", ["truth_tagging_gnn", "truth_tagging_edges"])
def test_the_networks_of_this_repository_are_exported(path, name):
    repository = Path(__file__).parents[2]
    config = load_config(str(repository / "data_configs" / "truth_tagging.yaml"))
    options = NetworkOptions(
        network_config=str(repository / "network_configs" / f"{name}.py"),
        network_option=[["hidden", "8"]],
    )
    members = [build_network(config, options, seed=seed) for seed in range(2)]
    assert export_onnx(members, make_task(config), config, path) < 1e-6


def test_a_network_that_takes_one_length_says_so(config, task, path):
    export_onnx([network_of(FrozenP(), dynamic_axes={"jets": {0: "N"}})], task, config, path)
    shape = onnx.load(str(path)).graph.input[0].type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in shape.dim] == ["N", 4, LENGTH]
    assert "max_length" not in json.loads((path.parent / "preprocess.json").read_text())["jets"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            FrozenP(),
            r"differs from torch by 0.*: jet_eff of object \d in row \d+ of 258 \(\d objects in "
            r"jets\)"
            ".*at the length of the data YAML they agree.*leave axis 2 out.*tracing warned: "
            r"Converting a tensor to a Python float.*test_export\.py, line \d+",
        ),
        (FrozenN(), r"fails for jets \(1, 4, 6\).*may have kept the number of rows"),
        (Leading(), r"jet_eff of object \d+ in row .*; TopK in the network: of equal values"),
        (DependsOnExport(), "differs from torch by"),
        (Bessel(), "cannot be exported: .*bessel_j0"),
    ],
)
def test_a_wrong_graph_is_refused_and_nothing_is_left(config, task, path, module, message):
    with pytest.raises(OutputError, match=message):
        export_onnx([network_of(module)], task, config, path)
    assert list(path.parent.iterdir()) == []


def test_a_refused_export_keeps_the_previous_one(config, task, path):
    export_onnx([network_of(DeepSet())], task, config, path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(OutputError):
        export_onnx([network_of(FrozenP())], task, config, path)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_real_rows_are_the_judge_where_there_are_some(config, task, path, monkeypatch):
    """The comparison sees the sample's own rows, and rows without jets besides."""
    seen = []
    judge = export.largest_difference
    monkeypatch.setattr(
        export,
        "largest_difference",
        lambda *arguments: seen.append(arguments[2]) or judge(*arguments),
    )
    sample = {"jets": rows(20, LENGTH) + 1}
    export_onnx([network_of(DeepSet())], task, config, path, sample=sample)
    assert seen[0]["jets"].shape == (22, 4, LENGTH)
    assert (seen[0]["jets"][1:11] == sample["jets"][:10]).all()


def test_without_a_sample_random_rows_and_a_warning(config, task, path, caplog):
    with caplog.at_level(logging.INFO, logger="weaver_tt"):
        export_onnx([network_of(DeepSet())], task, config, path)
    assert "comparing on random rows" in caplog.text
    assert "largest difference to torch" in caplog.text


def test_the_file_says_what_it_is(config, task, path):
    export_onnx(
        [network_of(DeepSet())],
        task,
        config,
        path,
        metadata={"training": {"seed": 7, "best": {"loss": 0.25}}, "note": "as it is"},
    )
    found = notes(path)
    assert found["data_config"] == config.text
    assert json.loads(found["outputs"]) == ["jet_eff"]
    assert json.loads(found["inputs"]) == {"jets": ["jet_pt", "jet_eta", "jet_phi", "jet_flavour"]}
    assert json.loads(found["training"]) == {"seed": 7, "best": {"loss": 0.25}}
    assert found["note"] == "as it is"
    assert json.loads(found["preprocess"]) == json.loads(
        (path.parent / "preprocess.json").read_text()
    )
    assert {"weaver_tt_version", "git_hash", "task", "layout"} <= found.keys()


def test_statistics_of_training_go_beside_the_model(path):
    values = {
        "inputs": {"jets": {"length": LENGTH, "vars": [f"jet_{name}" for name in "abcd"]}},
        "preprocess": {
            "method": "auto",
            "params": {f"jet_{name}": {"center": 2.0, "scale": 0.5} for name in "abcd"},
        },
        "labels": {"type": "per_object", "value": ["jet_istag"]},
    }
    config = from_mapping(values, source="test.yaml")
    export_onnx([network_of(DeepSet())], make_task(config), config, path)
    values["preprocess"] = {"method": "auto"}
    untrained = from_mapping(values, source="test.yaml")
    OnnxNetwork(path, load_statistics(untrained, str(path)))  # refuses any other numbers
    assert {file.name for file in path.parent.iterdir()} == {
        "model.onnx",
        "model.auto.yaml",
        "preprocess.json",
    }
    info = json.loads((path.parent / "preprocess.json").read_text())["jets"]["var_infos"]["jet_a"]
    assert (info["median"], info["norm_factor"]) == (2.0, 0.5)


def test_missing_statistics_are_an_error(path):
    config = config_of(
        inputs={"jets": {"length": LENGTH, "vars": [f"jet_{name}" for name in "abcd"]}},
        preprocess={"method": "auto"},
    )
    with pytest.raises(ConfigError, match=r"test\.yaml.*statistics are missing"):
        export_onnx([network_of(DeepSet())], make_task(config), config, path)


def test_a_folder_that_is_a_file_is_an_output_error(config, task, path):
    (path.parent / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export_onnx([network_of(DeepSet())], task, config, path.parent / "file" / "model.onnx")


def test_a_missing_folder_is_made(config, task, path):
    export_onnx([network_of(DeepSet())], task, config, path.parent / "new" / "model.onnx")
    assert (path.parent / "new" / "model.onnx").is_file()


def test_members_of_a_dropped_out_network_are_exported_in_evaluation_mode(config, task, path):
    network = network_of(DeepSet())
    network.unwrapped.inner = nn.Sequential(network.unwrapped.inner, nn.Dropout(0.5))
    network.unwrapped.train()
    assert export_onnx([network], task, config, path) < 1e-5


def test_the_exporters_own_announcements_are_not_shown(config, task, path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert export_onnx([network_of(DeepSet())], task, config, path) < 1e-5


def test_a_single_value_a_row_is_one_column():
    config = config_of(labels={"type": "custom", "value": {"y": "jet_pt"}})
    deployed = DeployedNetwork([network_of(nn.Flatten(0))], make_task(config))
    assert deployed(torch.ones(3, 1))[0].shape == (3, 1)


# row by row: the momentum that a network corrects, and the light-flavour tagger of b jets
MOMENTA = torch.tensor([[30.0], [1000.0], [1.0]])


class Constants(nn.Module):
    """(N, 4, P) -> (N, K): the same numbers for every row."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, jets: Tensor) -> Tensor:
        return self.values + 0 * jets.sum(2)[:, :1]


def momenta_config(**derived: str) -> DataConfig:
    return config_of(
        labels={"type": "custom", "value": {"y": "np.log(gen_pt / raw_pt)"}},
        observers=["raw_pt"],
        derived_outputs=derived,
    )


def test_derived_outputs_are_in_the_graph_behind_the_outputs(path):
    config = momenta_config(corrected_pt="raw_pt * np.exp(y)", shift="corrected_pt - raw_pt")
    network = network_of(Constants(0.25), output_names=["softmax"])
    assert export_onnx([network], make_task(config), config, path) < 1e-5
    jets = rows(3, 4)
    found = run(path, jets=jets, derived_inputs=MOMENTA.numpy())
    # a regression is no softmax; one output (N, K + D), by hand: 30 exp(0.25) = 38.52
    assert list(found) == ["output"]
    np.testing.assert_allclose(
        found["output"],
        [[0.25, 38.5208, 8.5208], [0.25, 1284.025, 284.025], [0.25, 1.284025, 0.284025]],
        rtol=1e-5,
    )
    described = json.loads((path.parent / "preprocess.json").read_text())
    assert described["output_names"] == ["y", "corrected_pt", "shift"]
    assert described["input_names"] == ["jets", "derived_inputs"]
    # neither scaled nor clipped
    assert described["derived_inputs"] == {
        "var_names": ["raw_pt"],
        "var_length": 1,
        "var_infos": {
            "raw_pt": {
                "median": 0.0,
                "norm_factor": 1.0,
                "replace_inf_value": 0.0,
                "lower_bound": -1e32,
                "upper_bound": 1e32,
                "pad": 0.0,
            }
        },
    }


def test_of_an_ensemble_the_mean_is_corrected_and_the_members_spread(path):
    config = momenta_config(corrected_pt="raw_pt * np.exp(y)")
    task = make_task(config)
    members = [network_of(Constants(value)) for value in (0.0, 0.5)]
    assert export_onnx(members, task, config, path) < 1e-5
    inputs = {"jets": torch.from_numpy(rows(3, 4)), "derived_inputs": MOMENTA}
    in_torch = Ensemble(members, task)(inputs)
    exported = OnnxNetwork(path, config)(inputs)
    for found in (in_torch, exported):
        # of y: 0.25 +- 0.25
        assert found.value.tolist() == [[0.25]] * 3
        assert found.spread.tolist() == [[0.25]] * 3
        # exp of the mean, 38.52, and not the mean of exp, 39.73; half of 30 exp(0.5) - 30
        assert found.derived[0].item() == pytest.approx(30 * np.exp(0.25), rel=1e-5)
        assert found.derived_spread[0].item() == pytest.approx(15 * (np.exp(0.5) - 1), rel=1e-5)
    described = json.loads((path.parent / "preprocess.json").read_text())
    assert described["output_names"] == ["y", "corrected_pt"]


def test_tracing_has_nothing_to_say_of_what_is_derived(path, monkeypatch):
    told = []

    def keep(*arguments: Any) -> list[str]:
        told.append(trace(*arguments))
        return told[-1]

    trace = export.trace_graph
    monkeypatch.setattr(export, "trace_graph", keep)
    config = momenta_config(corrected_pt="raw_pt * np.exp(y)")
    members = [network_of(Constants(value)) for value in (0.0, 0.5)]
    export_onnx(members, make_task(config), config, path)
    # such as that the number of members is frozen, in place of the cause of a difference
    assert told == [[]]


def test_a_discriminant_of_probabilities_needs_no_further_input(path):
    config = config_of(
        labels={"type": "simple", "value": ["b", "c", "light"]},
        derived_outputs={"D_b": "np.log(b / (0.1 * c + 0.9 * light))"},
    )
    logits = np.log([0.5, 0.2, 0.3]).tolist()
    network = network_of(Constants(*logits), output_names=["softmax"])
    export_onnx([network], make_task(config), config, path)
    found = run(path, jets=rows(2, 4))
    assert list(found) == ["output"]
    np.testing.assert_allclose(
        found["output"], [[0.5, 0.2, 0.3, np.log(0.5 / 0.29)]] * 2, rtol=1e-5
    )


def test_infinite_logarithms_agree(path):
    config = config_of(
        labels={"type": "simple", "value": ["b", "light"]}, derived_outputs={"D": "np.log(b)"}
    )
    export_onnx([network_of(Constants(-200.0, 0.0))], make_task(config), config, path)
    assert run(path, jets=rows(2, 4))["output"][0].tolist() == [0, 1, -np.inf]


def test_a_file_with_derived_outputs_wants_the_same_of_the_data_yaml(path):
    config = momenta_config(corrected_pt="raw_pt * np.exp(y)")
    export_onnx([network_of(Constants(0.25))], make_task(config), config, path)
    assert OnnxNetwork(path, config).derived == {"corrected_pt": "raw_pt * np.exp(y)"}
    with pytest.raises(ConfigError, match=r"exported with derived_outputs .*raw_pt \* np.exp\(y\)"):
        OnnxNetwork(path, momenta_config(corrected_pt="2 * raw_pt * np.exp(y)"))
    with pytest.raises(ConfigError, match="says nothing of them: make them equal, or export again"):
        OnnxNetwork(path, momenta_config())


def test_a_file_without_derived_outputs_suits_a_yaml_that_has_some(path):
    config = momenta_config()
    export_onnx([network_of(Constants(0.25))], make_task(config), config, path)
    network = OnnxNetwork(path, momenta_config(corrected_pt="raw_pt * np.exp(y)"))
    assert network.derived == {}
    assert network({"jets": torch.from_numpy(rows(3, 4))}).derived is None


def test_configs_are_not_changed(config, task, path):
    before = replace(config)
    export_onnx([network_of(DeepSet())], task, config, path)
    assert config == before


class WithTracks(DeepSet):
    """Adds the sum of the row's tracks to each jet's output."""

    def forward(self, jets: Tensor, tracks: Tensor) -> Tensor:
        return super().forward(jets) + tracks.sum(2, keepdim=True)


def dims_of(value: onnx.ValueInfoProto) -> list[int | str]:
    """The dimensions of a graph's input or output."""
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_groups_of_different_objects_have_lengths_of_their_own(path):
    config = config_of(
        inputs={
            "jets": {"length": LENGTH, "vars": [[f"jet_{name}", None] for name in "abcd"]},
            "tracks": {"length": 9, "vars": [["d0", None]]},
        },
        labels={"type": "per_object", "group": "jets", "value": ["jet_istag"]},
    )
    network = network_of(WithTracks(), ("jets", "tracks"))
    export_onnx([network], make_task(config), config, path)
    graph = onnx.load(str(path)).graph
    assert [dims_of(value) for value in graph.input] == [
        ["N", 4, "P_jets"],
        ["N", 1, "P_tracks"],
    ]
    assert [dims_of(value) for value in graph.output] == [["N", "P_jets"]]
    tracks = np.full((1, 1, 5), np.log(3) / 5, np.float32)
    found = run(path, jets=np.zeros((1, 4, 2), np.float32), tracks=tracks)
    # sigmoid(log 3) for each of two jets
    np.testing.assert_allclose(found["jet_eff"], [[0.75, 0.75]], atol=1e-6)


def test_the_model_appears_after_its_sidecars(config, task, path, monkeypatch):
    moved = []
    replace_file = export.os.replace

    def record(source, target):
        moved.append(Path(target).name)
        replace_file(source, target)

    monkeypatch.setattr(export.os, "replace", record)
    export_onnx([network_of(DeepSet())], task, config, path)
    assert moved == ["preprocess.json", "model.onnx"]


def test_an_earlier_model_is_never_beside_the_sidecar_of_a_new_one(config, task, path, monkeypatch):
    for folder in (path.parent, path.parent / "new"):
        folder.mkdir(exist_ok=True)
        (folder / "preprocess.json").write_text("{}")
        (folder / path.name).write_text(folder.name)
    replace_file = export.os.replace

    def fail_at_the_new_model(source, target):
        if Path(target) == path:
            assert not path.exists()
            # as on a full disk; what was there before comes back by the next call
            monkeypatch.setattr(export.os, "replace", replace_file)
            raise OSError("no space")
        replace_file(source, target)

    monkeypatch.setattr(export.os, "replace", fail_at_the_new_model)
    with pytest.raises(OSError, match="no space"):
        export.move_into_place(path.parent / "new" / path.name, path.parent, {"a": 1}, config)
    assert path.read_text() == path.parent.name
    assert (path.parent / "preprocess.json").read_text() == "{}"


def test_a_folder_of_two_models_is_warned_of_where_they_share_a_sidecar(config, path, caplog):
    (path.parent / "new").mkdir(parents=True)
    (path.parent / "preprocess.json").write_text("{}")
    (path.parent / "other.onnx").touch()
    (path.parent / "new" / path.name).touch()
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        export.move_into_place(path.parent / "new" / path.name, path.parent, {"a": 1}, config)
    assert "was that of other.onnx" in caplog.text


def test_an_export_leaves_running_statistics_alone(config, task, path):
    network = network_of(DeepSet())
    norm = nn.BatchNorm1d(8)
    network.unwrapped.inner = nn.Sequential(network.unwrapped.inner, norm)
    network.unwrapped.train()
    export_onnx([network], task, config, path)
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.tolist() == [0] * 8


def test_only_the_first_name_of_the_network_file_is_an_output(path):
    config = config_of(labels={"type": "simple", "value": ["b", "c", "light"]})
    network = network_of(Pooled(outputs=3), output_names=["softmax", "features"])
    export_onnx([network], make_task(config), config, path)
    assert [value.name for value in onnx.load(str(path)).graph.output] == ["softmax"]


def test_a_graph_that_breaks_the_rules_of_onnx_is_refused(path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("NoSuchOperation", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "graph", [value], [result])
    onnx.save(onnx.helper.make_model(graph, ir_version=8), str(path))
    with pytest.raises(onnx.checker.ValidationError, match="NoSuchOperation"):
        export.add_metadata(path, {}, path)


def test_the_number_of_outputs_is_written_where_the_file_leaves_it_open(tmp_path):
    """Readers take no output of open size but for the rows."""
    helper = onnx.helper
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "K"]) for name in "xy"
    ]
    graph = helper.make_graph([helper.make_node("Exp", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), str(tmp_path / "m.onnx"))
    export.set_output_size(tmp_path / "m.onnx", 3)
    shape = onnx.load(str(tmp_path / "m.onnx")).graph.output[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in shape] == ["N", 3]
