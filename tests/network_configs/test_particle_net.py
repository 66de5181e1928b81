"""ParticleNet's network file: the paper's size, the public file's names, options.

What holds for all networks on sets is in test_set_networks.py.
"""

from pathlib import Path

import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.nn.models.particle_net import ParticleNet

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "particle_net.py")


def config(features=7, classes=2):
    names = {
        "pf_points": ["deta", "dphi"],
        "pf_features": [f"x{number}" for number in range(features)],
        "pf_mask": ["mask"],
    }
    inputs = {
        name: {"length": 128, "vars": [[variable, None] for variable in listed]}
        for name, listed in names.items()
    }
    return from_mapping(
        {
            "inputs": inputs,
            "labels": {"type": "simple", "value": [f"is_{number}" for number in range(classes)]},
        },
        source="jets.yaml",
    )


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_network_of_the_paper_has_366160_parameters():
    module, info = FILE.get_model(config(), {})
    assert size(module) == 366_160
    assert info["input_names"] == ["pf_points", "pf_features", "pf_mask"]
    assert info["dynamic_axes"]["pf_points"] == {0: "N", 2: "n_pf"}


def test_weights_of_the_public_network_file_fit():
    public = ParticleNet(
        17,
        10,
        [(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))],
        [(256, 0.1)],
        use_fusion=False,
    )
    module, _ = FILE.get_model(config(17, 10), {})
    module.load_state_dict({f"mod.{name}": values for name, values in public.state_dict().items()})
    assert all(
        torch.equal(values, public.state_dict()[name])
        for name, values in module.mod.state_dict().items()
    )


def test_sizes_are_options():
    options = {
        "conv_params": ((3, (8, 4)), (5, [6])),
        "fc_params": ((9, 0.2),),
        "use_fusion": True,
        "use_fts_bn": False,
    }
    module, _ = FILE.get_model(config(), options)
    assert [block.k for block in module.mod.edge_convs] == [3, 5]
    assert module.mod.fusion_block[0].weight.shape == (128, 10, 1)
    assert module.mod.fc[0][0].in_features == 128
    module, _ = FILE.get_model(config(), options | {"k": 2})
    assert [block.k for block in module.mod.edge_convs] == [2, 2]


@pytest.mark.parametrize("options", [{"conv_params": 16, "k": 3}, {"k": 0}, {"k": "many"}])
def test_convolutions_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError, match="conv_params"):
        FILE.get_model(config(), options)
