"""ParticleNet of candidates and vertices.

Names, order of objects and padding in both branches, jets without either, and the ONNX form.
"""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.tasks.registry import make_task

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "particle_net_pf_sv.py")
SMALL = {"conv_params": ((3, (6, 5)), (4, (8, 7))), "fc_params": ((6, 0.0),)}
LENGTH = {"pf": 8, "sv": 3}
GROUPS = ["pf_points", "pf_features", "pf_mask", "sv_points", "sv_features", "sv_mask"]


def mapping(**points):
    names = {
        kind: {
            "points": points.get(kind, ("deta", "dphi")),
            "features": ("a", "b", "c")[: 3 if kind == "pf" else 2],
            "mask": ("mask",),
        }
        for kind in LENGTH
    }
    inputs = {
        f"{kind}_{group}": {
            "length": LENGTH[kind],
            "vars": [[f"{kind}_{variable}", None] for variable in variables],
        }
        for kind, groups in names.items()
        for group, variables in groups.items()
    }
    return {"inputs": inputs, "labels": {"type": "simple", "value": ["is_b", "is_c", "is_light"]}}


CONFIG = from_mapping(mapping(), source="jets.yaml")


def jets(candidates, vertices, seed=0):
    """Inputs by group, with so many candidates and vertices in the rows; zero on padding."""
    random, inputs = torch.Generator().manual_seed(seed), {}
    for kind, counts in (("pf", candidates), ("sv", vertices)):
        slots = LENGTH[kind]
        mask = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()
        for group, channels in (("points", 2), ("features", 3 if kind == "pf" else 2)):
            inputs[f"{kind}_{group}"] = (
                torch.randn(len(counts), channels, slots, generator=random) * mask
            )
        inputs[f"{kind}_mask"] = mask
    return inputs


def build(mode="eval"):
    torch.manual_seed(0)
    module, info = FILE.get_model(CONFIG, SMALL)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return Network(module, info["input_names"], info=info).train(mode == "train")


def test_groups_are_taken_in_the_order_of_the_class():
    module, info = FILE.get_model(CONFIG, SMALL)
    assert info["input_names"] == GROUPS
    assert module.pf_conv.conv[1].weight.shape == (32, 3, 1)
    assert module.sv_conv.conv[1].weight.shape == (32, 2, 1)


def test_the_order_of_objects_of_a_kind_does_not_matter_and_their_kind_does():
    network, inputs = build(), jets([8, 8], [3, 3])
    orders = {"pf": torch.tensor([3, 1, 7, 0, 2, 6, 4, 5]), "sv": torch.tensor([2, 0, 1])}
    reordered = {name: values[:, :, orders[name[:2]]] for name, values in inputs.items()}
    torch.testing.assert_close(network(reordered), network(inputs), atol=1e-5, rtol=1e-5)
    without = inputs | {"sv_mask": torch.zeros(2, 1, 3)}
    assert (network(without) - network(inputs)).abs().max() > 1e-4


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_neither_the_amount_of_padding_nor_what_stands_there_matters(mode):
    inputs = jets([8, 2, 0, 5], [1, 3, 0, 0])
    padded = {name: torch.nn.functional.pad(values, (0, 4)) for name, values in inputs.items()}
    filled = {
        name: values
        if name.endswith("mask")
        else torch.where(padded[name[:3] + "mask"] > 0, values, 5.0)
        for name, values in padded.items()
    }
    torch.testing.assert_close(build(mode)(filled), build(mode)(inputs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(
    ("candidates", "vertices"), [([0], [0]), ([0, 0], [0, 1]), ([5, 0, 1], [0, 2, 0])]
)
def test_jets_without_candidates_or_vertices_have_finite_outputs_and_gradients(
    mode, candidates, vertices
):
    network = build(mode)
    output = network(jets(candidates, vertices))
    cross_entropy(output, torch.zeros(len(candidates), dtype=torch.long)).backward()
    assert torch.isfinite(output).all()
    assert all(
        torch.isfinite(parameter.grad).all()
        for parameter in network.unwrapped.parameters()
        if parameter.grad is not None
    )


def test_onnx_runtime_gives_the_same_numbers_for_any_number_of_candidates_and_vertices(tmp_path):
    rows = jets([index % 9 for index in range(40)], [index % 4 for index in range(40)], seed=2)
    sample = {name: values.numpy() for name, values in rows.items()}
    assert (
        export_onnx([build()], make_task(CONFIG), CONFIG, tmp_path / "model.onnx", sample=sample)
        <= 1e-5
    )


def test_points_of_different_dimension_are_refused():
    config = from_mapping(mapping(sv=("deta", "dphi", "dz")), source="jets.yaml")
    with pytest.raises(
        ConfigError, match=r"jets\.yaml: inputs\.sv_points: 3 coordinates, but pf_points has 2"
    ):
        FILE.get_model(config, SMALL)


def test_a_missing_branch_is_named():
    inputs = {name: values for name, values in mapping()["inputs"].items() if name != "sv_mask"}
    with pytest.raises(ConfigError, match="there is no 'sv_mask'"):
        FILE.get_model(from_mapping(mapping() | {"inputs": inputs}, source="jets.yaml"), SMALL)
