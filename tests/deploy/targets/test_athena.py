"""Athena: what the SaltModel of ATLAS reads, one jet a call."""

import json
from pathlib import Path

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
    shapes_of,
    tensors_of,
    write_target,
)
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.tagger import Tagger
from weaver_tt.errors import ConfigError
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.tasks.registry import make_task


class Masked(nn.Module):
    """A sum over the objects that a mask tells."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = DeepSet(0, 3)

    def forward(self, jets: Tensor, mask: Tensor, *others: Tensor) -> Tensor:
        return self.inner(jets * mask)


def test_athena_takes_raw_sequences_and_gives_numbers(tmp_path: Path) -> None:
    config = event_config()
    golden = write_target(tmp_path / "out", "athena", config, [Masked()])
    # the mask is made inside
    assert shapes_of(tmp_path / "out") == {
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
    assert shapes_of(tmp_path / "out") == {"jets": ["n_jets", 4], "tagger_jet_eff": ["n"]}
    counts = {len(row["outputs"]["tagger_jet_eff"]) for row in golden["rows"]}
    # up to eight jets in a row, of which six are given to the network
    assert {0, 1, 8} <= counts


def test_a_tagger_says_that_a_folder_is_for_athena(tmp_path: Path) -> None:
    write_target(tmp_path / "out", "athena", event_config(), [DeepSet(0, 3, event=2)])
    with pytest.raises(ConfigError, match=r"for SaltModel of Athena, .*--target generic or raw"):
        Tagger(tmp_path / "out")
