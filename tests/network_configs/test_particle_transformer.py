"""The network files of the Particle Transformer, but for the laws of test_set_networks.py."""

from pathlib import Path

import pytest
import torch

from weaver_tt.config.load import from_mapping
from weaver_tt.deploy.export import export_onnx
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.network.summary import network_summary
from weaver_tt.tasks.registry import make_task

FOLDER = Path(__file__).parents[2] / "network_configs"
SMALL = {
    "embed_dims": (8,),
    "pair_embed_dims": (6,),
    "num_heads": 2,
    "num_layers": 1,
    "num_cls_layers": 1,
}


def file(name):
    return NetworkFile(FOLDER / f"{name}.py")


def config(classes=2, features=7, scale=None, kinds=("pf",)):
    """A data YAML with ``features`` features of each kind of object."""
    inputs = {}
    for length, kind in enumerate(kinds, 5):
        columns = {
            "features": [[f"{kind}_{number}", None] for number in range(features)],
            "mask": [[f"{kind}_mask", None]],
        }
        columns["vectors"] = [
            [f"{kind}_px", scale],
            *([f"{kind}_{name}", None] for name in ("py", "pz", "energy")),
        ]
        inputs |= {
            f"{kind}_{name}": {"length": length, "vars": variables}
            for name, variables in columns.items()
        }
    return from_mapping(
        {
            "inputs": inputs,
            "labels": {"type": "simple", "value": [f"is_{index}" for index in range(classes)]},
        },
        source="jets.yaml",
    )


def test_the_public_network_has_2_14_million_parameters_under_the_names_of_public_weights():
    module, info = file("particle_transformer").get_model(config(10, 17), {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 2_143_486
    assert {
        "mod.cls_token",
        "mod.embed.input_bn.weight",
        "mod.pair_embed.embed.11.running_var",
        "mod.blocks.7.attn.in_proj.weight",
    } <= set(module.state_dict())
    assert module.state_dict()["mod.pair_embed.embed.1.weight"].shape == (64, 4, 1)
    assert info["input_names"] == ["pf_features", "pf_vectors", "pf_mask"]
    assert module.no_weight_decay() == {"mod.cls_token"}


def test_all_options_of_the_network_are_options_of_the_file():
    module, _ = file("particle_transformer").get_model(
        config(), SMALL | {"fc_params": [(5, 0.1)], "block_params": {"dropout": 0.3}}
    )
    assert module.mod.fc[0][0].out_features == 5
    assert module.mod.blocks[0].dropout.p == 0.3
    assert module.mod.blocks[0].act_dropout.p == 0.1


@pytest.mark.parametrize(
    "name", ["particle_transformer", "particle_transformer_finetune", "particle_transformer_pf_sv"]
)
@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        (
            {},
            {"num_layer": 3},
            "network options: unknown key 'num_layer'; did you mean 'num_layers'",
        ),
        ({}, {"for_inference": True}, "unknown key 'for_inference'"),
        ({}, {"version": 2}, "version=2 is not supported"),
        ({"scale": 1.0}, {}, "pf_px is scaled"),
    ],
)
def test_what_does_not_fit_is_refused(name, changes, options, message):
    with pytest.raises(ConfigError, match=message):
        file(name).get_model(config(kinds=("pf", "sv"), **changes), SMALL | options)


@pytest.mark.parametrize(
    "name", ["particle_transformer", "particle_transformer_finetune", "particle_transformer_pf_sv"]
)
def test_the_network_is_shown_with_its_flops(name):
    data = config(kinds=("pf", "sv"))
    module, info = file(name).get_model(data, SMALL)
    text = network_summary(Network(module, info["input_names"], name, info), data)
    assert f"parameters    {sum(parameter.numel() for parameter in module.parameters()):,}" in text
    assert "output        (N, 2)" in text


def test_a_body_trained_before_fits_into_fine_tuning_and_only_the_head_is_new():
    torch.manual_seed(0)
    trained, _ = file("particle_transformer").get_model(config(10), SMALL)
    tuned, _ = file("particle_transformer_finetune").get_model(
        config(3), SMALL | {"fc_params": [(6, 0.1)]}
    )
    missing, unexpected = tuned.load_state_dict(trained.state_dict(), strict=False)
    assert set(missing) == {"fc.0.0.weight", "fc.0.0.bias", "fc.1.weight", "fc.1.bias"}
    assert set(unexpected) == {"mod.fc.0.weight", "mod.fc.0.bias"}
    inputs = torch.randn(2, 7, 5), torch.rand(2, 4, 5), torch.ones(2, 1, 5)
    body = trained.eval().mod
    body.fc = None
    torch.testing.assert_close(
        tuned.eval()(*inputs), tuned.fc(body(inputs[0], inputs[1], inputs[2]))
    )


def vertices(counts, seed=0):
    """Inputs with ``counts`` (particles, vertices) of each jet."""
    random, inputs = torch.Generator().manual_seed(seed), []
    for kind, length in enumerate((5, 6)):
        real = (torch.arange(length) < torch.tensor(counts)[:, kind, None]).unsqueeze(1).float()
        momenta = torch.randn(len(counts), 3, length, generator=random) * 10
        vectors = torch.cat((momenta, momenta.norm(dim=1, keepdim=True) + 0.5), dim=1)
        inputs += [
            torch.randn(len(counts), 7, length, generator=random) * real,
            vectors * real,
            real,
        ]
    return inputs


def test_particles_and_vertices_come_in_any_number_and_order():
    torch.manual_seed(0)
    module, info = file("particle_transformer_pf_sv").get_model(config(kinds=("pf", "sv")), SMALL)
    assert info["input_names"] == [
        "pf_features",
        "pf_vectors",
        "pf_mask",
        "sv_features",
        "sv_vectors",
        "sv_mask",
    ]
    inputs = vertices([(5, 6), (3, 0), (0, 2), (0, 0), (1, 1)])
    output = module(*inputs)
    output.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())
    module.eval()
    output = module(*inputs)
    padded = [torch.cat((tensor, torch.zeros(*tensor.shape[:2], 2)), dim=2) for tensor in inputs]
    torch.testing.assert_close(module(*padded), output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        module(*(tensor.flip(2) for tensor in inputs)), output, atol=1e-5, rtol=1e-5
    )
    without = [*inputs[:5], torch.zeros_like(inputs[5])]
    assert (module(*without)[0] - output[0]).abs().max() > 1e-4


def test_onnx_runtime_gives_the_same_numbers_for_any_number_of_particles_and_vertices(tmp_path):
    torch.manual_seed(0)
    data = config(kinds=("pf", "sv"))
    module, info = file("particle_transformer_pf_sv").get_model(data, SMALL)
    rows = vertices([(index % 6, index % 7) for index in range(20)])
    sample = {name: tensor.numpy() for name, tensor in zip(info["input_names"], rows, strict=True)}
    network = Network(module.eval(), info["input_names"], info=info)
    assert (
        export_onnx([network], make_task(data), data, tmp_path / "model.onnx", sample=sample)
        <= 1e-5
    )
