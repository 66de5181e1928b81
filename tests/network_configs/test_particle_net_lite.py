"""ParticleNet-Lite's network file: the paper's size, options.

What holds for all networks on sets is in test_set_networks.py.
"""

from pathlib import Path

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.network.file import NetworkFile

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "particle_net_lite.py")
NAMES = {
    "pf_points": ["deta", "dphi"],
    "pf_features": [f"x{number}" for number in range(7)],
    "pf_mask": ["mask"],
}
INPUTS = {
    name: {"length": 128, "vars": [[variable, None] for variable in listed]}
    for name, listed in NAMES.items()
}
CONFIG = from_mapping(
    {"inputs": INPUTS, "labels": {"type": "simple", "value": ["top", "qcd"]}}, source="jets.yaml"
)


def test_the_lite_network_of_the_paper_has_26k_parameters():
    module, info = FILE.get_model(CONFIG, {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 26_416
    assert info["input_names"] == ["pf_points", "pf_features", "pf_mask"]


@pytest.mark.parametrize("options", [{}, {"k": 5, "dropout": 0.3}])
def test_neighbours_and_dropout_are_options(options):
    module, _ = FILE.get_model(CONFIG, options)
    assert [block.k for block in module.edge_convs] == [options.get("k", 7)] * 2
    assert module.fc[0][2].p == options.get("dropout", 0.1)
