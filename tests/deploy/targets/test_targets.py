"""Each target writes what its reader takes, and refuses by name what its reader would not."""

import json
import re
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from tests.deploy.conftest import (
    NAMES,
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    tensors_of,
    write_target,
)
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.errors import ConfigError
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.options.export import TARGET_NAMES
from weaver_tt.tasks.registry import make_task

NETWORK = DeepSet(0, 3, event=2)


def shapes(folder: Path) -> dict[str, list[Any]]:
    graph = onnx.load(str(folder / "model.onnx")).graph
    found = {}
    for value in [*graph.input, *graph.output]:
        sizes = value.type.tensor_type.shape.dim
        found[value.name] = [size.dim_param or size.dim_value for size in sizes]
    return found


def lengths(folder: Path) -> dict[str, dict[str, int]]:
    content = json.loads((folder / "preprocess.json").read_text())
    return {
        name: {key: value for key, value in group.items() if key.endswith("length")}
        for name, group in content.items()
        if isinstance(group, dict)
    }


def test_flags_name_all_targets() -> None:
    assert set(TARGET_NAMES) == set(TARGETS)


def test_fcc_has_fixed_lengths_and_scalars_with_an_axis(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "fcc", event_config(), [NETWORK])
    assert shapes(tmp_path / "out") == {
        "pf_features": ["N", 4, 6],
        "event": ["N", 2, 1],
        "derived_inputs": ["N", 1, 1],
        "output": ["N", 5],
    }
    # groups that FCC and key4hep look into are described, whether the YAML has them or not
    assert lengths(tmp_path / "out") == {
        "pf_features": {"var_length": 6},
        "pf_mask": {"var_length": 6},
        "event": {"var_length": 1},
        "derived_inputs": {"var_length": 1},
        "pf_vectors": {"var_length": 1},
    }


def test_cmssw_takes_as_many_objects_as_there_are(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK])
    found = shapes(tmp_path / "out")
    assert found["pf_features"][2] == "P_pf_features"
    assert found["event"] == ["N", 2, 1]
    assert found["output"] == ["N", 5]
    assert lengths(tmp_path / "out") == {
        "pf_features": {"min_length": 1, "max_length": 6},
        "pf_mask": {"min_length": 1, "max_length": 6},
        "event": {"min_length": 1, "max_length": 1},
        "derived_inputs": {"min_length": 1, "max_length": 1},
    }


def test_cmssw_has_var_length_where_no_length_is_free(tmp_path: Path) -> None:
    fixed = {"dynamic_axes": {"pf_features": {0: "N"}, "pf_mask": {0: "N"}}}
    write_target(tmp_path / "out", "cmssw", event_config(), [NETWORK], info=fixed)
    assert shapes(tmp_path / "out")["pf_features"] == ["N", 4, 6]
    assert lengths(tmp_path / "out")["event"] == {"var_length": 1}


class Reshaped(nn.Module):
    """Its number of outputs is one that the exporter does not know."""

    def forward(self, features: Tensor, *others: Tensor) -> Tensor:
        return features[:, :3].sum(2).reshape(features.shape[0], -1)


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_the_number_of_outputs_is_always_static(tmp_path: Path, target: str) -> None:
    config = jets_config(labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]})
    write_target(tmp_path / "out", target, config, [Reshaped()])
    assert shapes(tmp_path / "out")["output"] == ["N", 3]


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_outputs_beyond_the_first_are_refused(tmp_path: Path, target: str) -> None:
    two = [DeepSet(seed, 3, event=2) for seed in (1, 2)]
    with pytest.raises(ConfigError, match=r"output 'output_std': .* reads the first output alone"):
        write_target(tmp_path / "out", target, event_config(), two)
    jets = [DeepSet(0, 1, per_jet=True)]
    with pytest.raises(ConfigError, match="outputs jet_eff: one for each object"):
        write_target(tmp_path / "out", target, jets_config(), jets)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_padding_outside_of_the_bounds_is_refused(tmp_path: Path, target: str) -> None:
    variables: list[Any] = [["jet_pt", 50, 0.02, -5, 5, -9]]
    variables += [[name, None] for name in ("jet_eta", "jet_phi", "jet_flavour")]
    inputs = {"pf_features": {"length": 6, "vars": variables}}
    config = jets_config(inputs=inputs, labels={"type": "simple", "value": ["a", "b", "c"]})
    with pytest.raises(ConfigError, match="variable 'jet_pt' of 'pf_features': pads with -9, outs"):
        write_target(tmp_path / "out", target, config, [DeepSet(0, 3)])


def test_a_mask_that_is_not_one_is_refused_where_the_reader_replaces_it(tmp_path: Path) -> None:
    config = event_config()
    sample = sample_of(config, events(40, seed=1))
    sample.raw["pf_mask"] = ak.where(sample.raw["jet_pt"] > 60, 1.0, 0.5)
    with pytest.raises(ConfigError, match=r"variable 'pf_mask' of 'pf_mask': is 0\.5 for some"):
        write_target(tmp_path / "out", "fcc", config, [NETWORK], sample=sample)
    write_target(tmp_path / "out", "cmssw", config, [NETWORK], sample=sample)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_an_operator_set_that_readers_were_not_tried_with_is_refused(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(ConfigError, match="operator set 18"):
        write_target(tmp_path / "out", target, event_config(), [NETWORK], opset=18)


class Masked(nn.Module):
    """A sum over the objects that a mask tells."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = DeepSet(0, 3)

    def forward(self, jets: Tensor, mask: Tensor, *others: Tensor) -> Tensor:
        return self.inner(jets * mask)


def test_triton_has_a_repository_without_the_axis_of_rows(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "triton", event_config(), [NETWORK])
    assert len(golden["rows"]) == 36
    home = tmp_path / "out" / "tagger"
    assert (home / "labels.txt").read_text() == "is_a\nis_b\nis_c\nD_b\nmet_of_b\n"
    config = (home / "config.pbtxt").read_text()
    assert config.startswith('name: "tagger"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 256\n')
    found = re.findall(r'(input|output) .*\n *name: "(\w+)"\n.*TYPE_FP32\n  dims: (.*)', config)
    assert found == [
        ("input", "pf_features", "[ 4, -1 ]"),
        ("input", "event", "[ 2 ]"),
        ("input", "derived_inputs", "[ 1 ]"),
        ("output", "output", "[ 5 ]"),
    ]
    assert shapes(home / "1")["output"] == ["N", 5]
    assert (tmp_path / "out" / "preprocess.json").is_file()


def test_athena_takes_raw_sequences_and_gives_numbers(tmp_path: Path) -> None:
    config = event_config()
    golden = write_target(tmp_path / "out", "athena", config, [Masked()])
    # the mask is made inside
    assert shapes(tmp_path / "out") == {
        "pf_features": ["n_pf_features", 4],
        "derived_inputs": [1, 1],
        **{f"tagger_{name}": [] for name in ("is_a", "is_b", "is_c")},
        "tagger_D_b": [],
        "tagger_met_of_b": [],
    }
    model = onnx.load(str(tmp_path / "out" / "model.onnx"))
    metadata = {item.key: item.value for item in model.metadata_props}
    gnn_config = json.loads(metadata["gnn_config"])
    assert gnn_config["onnx_model_version"] == "v1"
    assert gnn_config["model_name"] == "tagger"
    assert gnn_config["input_sequences"] == [
        {
            "name": "pf_features",
            "variables": [{"name": name, "offset": 0.0, "scale": 1.0} for name in NAMES],
        }
    ]
    assert [item["name"] for item in gnn_config["inputs"]] == ["event", "derived_inputs"]
    assert gnn_config["output_names"][0] == "tagger_is_a"
    # a jet without constituents, and one with more than the network takes, in ONNX Runtime
    session = open_session(tmp_path / "out" / "model.onnx", 1)
    network = Ensemble([Network(Masked(), list(config.inputs))], make_task(config))
    for row in events(9, seed=4):
        with torch.no_grad():
            expected, _ = network(tensors_of(config, row)).joined()
        sequence = np.stack([row[name] for name in NAMES], 1).astype(np.float32)
        met = np.array([[row["met"]]], np.float32)
        found = session.run(None, {"pf_features": sequence, "derived_inputs": met})
        assert np.allclose(found, expected[0], rtol=1e-6, atol=1e-6)
    assert len(golden["rows"]) == 36


def test_athena_gives_one_number_for_each_object(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "athena", jets_config(), [DeepSet(0, 1, per_jet=True)])
    assert shapes(tmp_path / "out") == {"jets": ["n_jets", 4], "tagger_jet_eff": ["n"]}
    counts = {len(row["outputs"]["tagger_jet_eff"]) for row in golden["rows"]}
    # up to eight jets in a row, of which six are given to the network
    assert {0, 1, 8} <= counts


@pytest.mark.parametrize("target", ["triton", "athena"])
def test_names_that_the_reader_cannot_use_are_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=r"name 'my net': .* use letters, digits"):
        write_target(tmp_path / "out", target, event_config(), [NETWORK], name="my net")
