"""ParticleNeXt's network files: groups, parameters, options, and what the YAML may not do."""

from pathlib import Path

import pytest
import torch

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[2]
FILE = NetworkFile(ROOT / "network_configs" / "particle_next.py")
PF_SV = NetworkFile(ROOT / "network_configs" / "particle_next_pf_sv.py")
SMALL = {
    "layer_params": ((4, 16, ((2, 1), (1, 1)), 16),),
    "fc_params": ((6, 0.0),),
    "node_dim": 8,
    "init_scale": 1.0,
}
LENGTH = {"pf": 8, "sv": 3}
COLUMNS = {
    "points": ["deta", "dphi"],
    "features": ["a", "b"],
    "vectors": ["px", "py", "pz", "energy"],
    "mask": ["mask"],
}


def mapping(kinds=("pf", "sv"), **changed):
    """A data YAML; ``changed`` are variables of a group, such as ``pf_points``."""
    inputs = {}
    for kind in kinds:
        for group, columns in COLUMNS.items():
            name = f"{kind}_{group}"
            variables = [[f"{kind}_{column}", None] for column in columns]
            inputs[name] = {"length": LENGTH[kind], "vars": changed.get(name, variables)}
    return {"inputs": inputs, "labels": {"type": "simple", "value": ["is_b", "is_c"]}}


CONFIG = from_mapping(mapping(), source="jets.yaml")


def jets(candidates, vertices, seed=0):
    """Inputs by group, with so many candidates and vertices in the rows; zero on padding."""
    random = torch.Generator().manual_seed(seed)
    inputs = {}
    for kind, counts in (("pf", candidates), ("sv", vertices)):
        slots = LENGTH[kind]
        mask = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()
        for group, columns in COLUMNS.items():
            values = torch.randn(len(counts), len(columns), slots, generator=random)
            if group == "vectors":
                values[:, 3] = values[:, :3].norm(dim=1) + 0.5
            inputs[f"{kind}_{group}"] = mask if group == "mask" else values * mask
    return inputs


def build(mode="eval"):
    """The small network of candidates and vertices, statistics random as after training."""
    torch.manual_seed(0)
    module, info = PF_SV.get_model(CONFIG, SMALL)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return Network(module, info["input_names"], info=info).train(mode == "train")


def test_the_public_yaml_of_top_tagging_fits_and_each_improvement_can_be_switched_off():
    config = load_config(str(ROOT / "data_configs" / "top_tagging.yaml"))
    numbers = []
    for options in (
        {},
        {"use_rel_lv_fts": False},
        {"edge_aggregation": "mean", "global_aggregation": "mean"},
        {"layer_params": [(32, 256, [(1, 1)], 64)] * 3},
    ):
        module, info = FILE.get_model(config, options)
        numbers.append(sum(parameter.numel() for parameter in module.parameters()))
    assert info["input_names"] == ["pf_points", "pf_features", "pf_vectors", "pf_mask"]
    assert numbers == [551_496, 549_872, 542_792, 397_128]


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
    filled = {}
    for name, values in padded.items():
        is_real = padded[name[:3] + "mask"] > 0
        filled[name] = values if name.endswith("mask") else torch.where(is_real, values, 5.0)
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
    output.square().sum().backward()
    assert torch.isfinite(output).all()
    for parameter in network.unwrapped.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_onnx_runtime_gives_the_same_numbers_for_any_number_of_candidates_and_vertices(tmp_path):
    rows = jets([index % 9 for index in range(40)], [index % 4 for index in range(40)], seed=2)
    sample = {name: values.numpy() for name, values in rows.items()}
    path = tmp_path / "model.onnx"
    assert export_onnx([build()], make_task(CONFIG), CONFIG, path, sample=sample) <= 1e-5


@pytest.mark.parametrize(
    ("group", "variables", "message"),
    [
        ("points", [["x", 0.1, 2.0], ["y", None]], "expected eta, phi as they are, but x is scale"),
        ("points", [["x", None]], "expected eta, phi, found x"),
        ("points", [["x", None], ["y", None], ["z", None]], "and nothing else, found x, y, z"),
        ("vectors", [["px", None], ["py", None], ["pz", None]], "expected px, py, pz, energy, f"),
        ("vectors", [[name, 1.0, 2.0] for name in "abcd"], "but a, b, c, d is scaled"),
        ("vectors", [[name, None] for name in "abcde"], "and nothing else, found a, b, c, d, e"),
    ],
)
@pytest.mark.parametrize("kind", ["pf", "sv"])
def test_angles_and_four_vectors_must_be_what_they_are(kind, group, variables, message):
    name = f"{kind}_{group}"
    config = from_mapping(mapping(**{name: variables}), source="jets.yaml")
    files = [PF_SV, FILE] if kind == "pf" else [PF_SV]
    for file in files:
        with pytest.raises(ConfigError, match=rf"jets\.yaml: inputs\.{name}: .*{message}"):
            file.get_model(config, {})


@pytest.mark.parametrize("file", [FILE, PF_SV], ids=["pf", "pf_sv"])
def test_an_unknown_option_is_named_with_the_nearest(file):
    with pytest.raises(ConfigError, match="'layer_param'; did you mean 'layer_params'"):
        file.get_model(CONFIG, {"layer_param": 3})


def test_a_missing_group_is_named():
    config = from_mapping(mapping(["pf"]), source="jets.yaml")
    with pytest.raises(ConfigError, match="there is no 'sv_points'"):
        PF_SV.get_model(config, {})
