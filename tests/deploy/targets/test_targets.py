"""Each target writes what its reader takes, and refuses by name what its reader would not."""

import json
from pathlib import Path
from typing import Any

import awkward as ak
import onnx
import pytest

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    write_target,
)
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.errors import ConfigError
from weaver_tt.options.export import TARGET_NAMES

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
