"""What several readers refuse or want is the same for their targets."""

import json
from pathlib import Path
from typing import Any

import awkward as ak
import onnx
import pytest
from torch import Tensor, nn

from tests.deploy.conftest import (
    NAMES,
    DeepSet,
    event_config,
    events,
    jets_config,
    sample_of,
    shapes_of,
    write_target,
)
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.errors import ConfigError

NETWORK = DeepSet(0, 3, event=2)


class Reshaped(nn.Module):
    """Its number of outputs is one that the exporter does not know."""

    def forward(self, features: Tensor, *others: Tensor) -> Tensor:
        return features[:, :3].sum(2).reshape(features.shape[0], -1)


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_the_number_of_outputs_is_always_static(tmp_path: Path, target: str) -> None:
    config = jets_config(labels={"type": "simple", "value": ["is_a", "is_b", "is_c"]})
    write_target(tmp_path / "out", target, config, [Reshaped()])
    assert shapes_of(tmp_path / "out")["output"] == ["N", 3]


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_of_an_ensemble_a_reader_of_one_output_gets_the_mean(tmp_path: Path, target: str) -> None:
    """Of probabilities; what is derived is computed from the means."""
    two = [DeepSet(seed, 3, event=2) for seed in (1, 2)]
    both = write_target(tmp_path / "both", target, event_config(), two)["rows"]
    alone = []
    for number, member in enumerate(two):
        golden = write_target(tmp_path / str(number), target, event_config(), [member])
        alone.append(golden["rows"])
    assert shapes_of(tmp_path / "both")["output"] == ["N", 5]
    assert "output_std" not in shapes_of(tmp_path / "both")
    for row, one, other in zip(both, *alone, strict=True):
        assert set(row["outputs"]) == {"is_a", "is_b", "is_c", "D_b", "met_of_b"}
        if row["kind"] != "real":
            continue
        for name in ("is_a", "is_b", "is_c"):
            mean = (one["outputs"][name] + other["outputs"][name]) / 2
            assert row["outputs"][name] == pytest.approx(mean, abs=1e-6)
        met = row["columns"]["met"]
        assert row["outputs"]["met_of_b"] == pytest.approx(met * row["outputs"]["is_b"], rel=1e-5)


@pytest.mark.parametrize("target", ["fcc", "cmssw"])
def test_outputs_of_objects_are_refused_by_readers_of_rows(tmp_path: Path, target: str) -> None:
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


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_an_operator_set_that_readers_were_not_tried_with_is_refused(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(ConfigError, match="operator set 18"):
        write_target(tmp_path / "out", target, event_config(), [NETWORK], opset=18)


@pytest.mark.parametrize("target", ["triton", "athena"])
def test_names_that_the_reader_cannot_use_are_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=r"name 'my net': .* use letters, digits"):
        write_target(tmp_path / "out", target, event_config(), [NETWORK], name="my net")


@pytest.mark.parametrize("target", ["generic", "fcc", "cmssw"])
def test_the_file_says_of_itself_what_preprocess_json_beside_it_says(
    tmp_path: Path, target: str
) -> None:
    write_target(tmp_path / "out", target, event_config(), [NETWORK])
    properties = onnx.load(str(tmp_path / "out" / "model.onnx")).metadata_props
    [inside] = [item.value for item in properties if item.key == "preprocess"]
    assert json.loads(inside) == json.loads((tmp_path / "out" / "preprocess.json").read_text())


def test_groups_that_the_graph_does_not_take_are_described_and_refuse_nothing(
    tmp_path: Path,
) -> None:
    """Their pad, a mask that is not one, and wrapping are of no concern to the reader."""
    spare = ["spare_eta", 0, 1, -5, 5, -9]
    config = jets_config(
        new_variables={"spare_eta": "jet_eta"},
        inputs={
            "jets": {"length": 6, "vars": [[name, None] for name in NAMES]},
            "spare": {"length": 6, "pad_mode": "wrap", "vars": [spare]},
            "pf_mask": {"length": 6, "vars": [["pf_mask", None]]},
        },
        labels={"type": "simple", "value": ["a", "b", "c"]},
    )
    rows = [row | {"spare_eta": row["jet_eta"]} for row in events(40, seed=1)]
    sample = sample_of(config, rows)
    del sample.raw["spare_eta"]
    sample.raw["pf_mask"] = ak.full_like(sample.raw["jet_pt"], 0.5)
    more: dict[str, Any] = {"sample": sample, "takes": ["jets"]}
    write_target(tmp_path / "out", "fcc", config, [DeepSet(0, 3)], **more)
    content = json.loads((tmp_path / "out" / "preprocess.json").read_text())
    assert content["input_names"] == ["jets"]
    assert content["spare"]["var_names"] == ["spare_eta"]
    with pytest.raises(ConfigError) as refusal:
        write_target(tmp_path / "out", "fcc", config, [DeepSet(0, 3)], sample=sample)
    assert "variable 'spare_eta' of 'spare': pads with -9" in str(refusal.value)
