"""The Particle Transformer beside weaver-core's: names, shapes, numbers from the same weights."""

import pytest
import torch
from torch import nn

from tests.old_versions import BF16_IS_COARSER
from weaver_tt.errors import ConfigError
from weaver_tt.nn.models.particle_transformer import (
    ParticleTransformer,
    ParticleTransformerTagger,
    ParticleTransformerTaggerWithExtraPairFeatures,
)

SMALL = {
    "embed_dims": [12, 8],
    "pair_embed_dims": [6, 5],
    "num_heads": 2,
    "num_layers": 2,
    "num_cls_layers": 1,
    "num_classes": 3,
}
STILL = {"dropout": 0, "attn_dropout": 0, "activation_dropout": 0}
COUNTS = [6, 3, 1, 9, 0]


@pytest.fixture(scope="module")
def peer():
    """weaver-core's module."""
    return pytest.importorskip("weaver.nn.model.ParticleTransformer")


def jets(counts, slots, channels=5, seed=0):
    """Features (N, C, P), massless four-vectors (N, 4, P), mask (N, 1, P); zero on padding."""
    random = torch.Generator().manual_seed(seed)
    shape = len(counts), slots
    real = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()
    pt = 1 + 100 * torch.rand(shape, generator=random)
    eta, phi = (
        torch.randn(len(counts), 1, generator=random) + 0.3 * torch.randn(shape, generator=random)
        for _ in range(2)
    )
    vectors = torch.stack((pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()), dim=1)
    return torch.randn(len(counts), channels, slots, generator=random) * real, vectors * real, real


def pair_of(ours, theirs):
    """Both with the same weights and statistics, biases and scales random too, in evaluation.

    Fails where names or shapes differ.
    """
    random = torch.Generator().manual_seed(1)
    initial = theirs.state_dict()
    state = {
        name: tensor if tensor.ndim > 1 else torch.randn(tensor.shape, generator=random) * 0.3
        for name, tensor in initial.items()
    }
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(3)
        elif name.endswith("running_var") or (
            tensor.ndim == 1 and not name.endswith(("bias", "running_mean"))
        ):
            state[name] = 1 + tensor.abs()
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    return ours.eval(), theirs.eval()


def largest_difference(ours, theirs, *inputs):
    with torch.no_grad():
        return (ours(*inputs) - theirs(*inputs)).nan_to_num(nan=0).abs().max().item()


OPTIONS = [
    {},
    {"pair_input_dim": 0},
    {"pair_input_dim": 1},
    {"pair_input_dim": 3},
    {"pair_input_dim": 4, "use_pre_activation_pair": False},
    {"remove_self_pair": True},
    {"pair_embed_dims": None},
    {"trim": False, "use_amp": True},
    {"for_inference": True},
    {"fc_params": [(7, 0.1), (6, 0.1, "gelu")]},
    {"num_classes": None, "fc_params": None},
    {"activation": "relu"},
    {"num_cls_layers": 0, "embed_dims": [8]},
    {
        "block_params": {"scale_attn": False, "scale_heads": False, "ffn_ratio": 2, "num_heads": 4},
        "cls_block_params": STILL | {"scale_fc": False},
    },
    {
        "block_params": {"scale_fc": False, "scale_resids": False},
        "block_ids_with_attn_mask": [1],
        "weight_init": "timm",
    },
    {"num_layers": 0, "num_cls_layers": 2, "weight_init": None, "fix_init": False},
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_same_weights_give_the_same_numbers(peer, options):
    ours, theirs = pair_of(
        ParticleTransformer(5, **SMALL | options), peer.ParticleTransformer(5, **SMALL | options)
    )
    assert largest_difference(ours, theirs, *jets(COUNTS, 11)) <= 1e-5
    ours.dense = True
    assert largest_difference(ours, theirs, *jets(COUNTS, 11)) <= 1e-5


@pytest.mark.filterwarnings("ignore")
def test_the_public_network_gives_the_same_numbers(peer):
    options = {
        "num_classes": 10,
        "pair_input_dim": 4,
        "use_pre_activation_pair": False,
        "cls_block_params": STILL,
        "fc_params": [],
    }
    ours, theirs = pair_of(
        ParticleTransformer(17, **options), peer.ParticleTransformer(17, **options)
    )
    assert largest_difference(ours, theirs, *jets([14, 4], 16, 17)) <= 1e-5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pair_input_dim", [0, 4])
def test_given_pair_features_are_added(peer, pair_input_dim):
    options = SMALL | {"pair_input_dim": pair_input_dim, "pair_extra_dim": 2}
    ours, theirs = pair_of(
        ParticleTransformer(5, **options), peer.ParticleTransformer(5, **options)
    )
    given = torch.randn(len(COUNTS), 2, 9, 9, generator=torch.Generator().manual_seed(2))
    x, v, mask = jets(COUNTS, 9)
    inputs = (x, v if pair_input_dim else None, mask)
    assert largest_difference(ours, theirs, *inputs, given) <= 1e-5
    index = torch.tensor([[0, 1, 2, 9], [1, 0, 2, 9]]).expand(len(COUNTS), -1, -1)
    listed = torch.randn(len(COUNTS), 2, 4, generator=torch.Generator().manual_seed(3))
    assert largest_difference(ours, theirs, *inputs, listed, index) <= 1e-5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("extra", [0, 2])
def test_the_tagger_of_particles_and_vertices_gives_the_same_numbers(peer, extra):
    name = "ParticleTransformerTagger" + "WithExtraPairFeatures" * bool(extra)
    mine = ParticleTransformerTaggerWithExtraPairFeatures if extra else ParticleTransformerTagger
    options = SMALL | {"pair_extra_dim": extra}
    ours, theirs = pair_of(mine(5, 4, **options), getattr(peer, name)(5, 4, **options))
    inputs = *jets(COUNTS, 9), *jets([0, 2, 3, 1, 2], 4, channels=4, seed=1)
    given = (
        torch.randn(len(COUNTS), extra, 9, 9, generator=torch.Generator().manual_seed(2)),
    ) * bool(extra)
    assert largest_difference(ours, theirs, *inputs, *given) <= 1e-5
    ours.dense = True
    assert largest_difference(ours, theirs, *inputs, *given) <= 1e-5


@pytest.mark.filterwarnings("ignore")
def test_a_training_step_on_jets_without_padding_is_the_same(peer):
    options = SMALL | {"block_params": STILL, "trim": False}
    networks = pair_of(ParticleTransformer(5, **options), peer.ParticleTransformer(5, **options))
    inputs, results = jets([7] * 4, 7), []
    for network in networks:
        loss = nn.functional.cross_entropy(
            network.double().train()(*(tensor.double() for tensor in inputs)),
            torch.tensor([0, 1, 2, 0]),
        )
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        results.append({"loss": loss, **dict(network.named_buffers()), **gradients})
    for name, mine in results[0].items():
        torch.testing.assert_close(
            mine, results[1][name], msg=lambda text, name=name: f"{name}: {text}"
        )


def test_masks_may_have_holes_and_none_means_that_all_are_real():
    network = ParticleTransformer(5, **SMALL).eval()
    x, v, mask = jets([4, 6], 6)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(
        network(x[:, :, order], v[:, :, order], mask[:, :, order]),
        network(x, v, mask),
        atol=1e-5,
        rtol=1e-5,
    )
    torch.testing.assert_close(network(x[1:], v[1:]), network(x, v, mask)[1:], atol=1e-5, rtol=1e-5)


def test_trimming_is_reproducible_and_only_for_training():
    network = ParticleTransformer(5, **SMALL | {"block_params": STILL})
    inputs = jets([12, 3, 4, 5, 3], 12)
    outputs = []
    for _ in range(2):
        torch.manual_seed(5)
        outputs.append(torch.stack([network(*inputs) for _ in range(3)]))
    assert torch.equal(*outputs)
    assert (outputs[0][0] - outputs[0][1]).abs().max() > 1e-6
    network.eval()
    assert torch.equal(network(*inputs), network(*inputs))
    network.trim = False
    assert torch.equal(network.train()(*inputs), network(*inputs))


def test_bf16_is_close_to_float32_and_trains():
    network = ParticleTransformer(5, **SMALL | {"block_params": STILL, "trim": False})
    inputs = jets(COUNTS, 9)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(*inputs)
    output.float().square().sum().backward()
    error = 0.15 if BF16_IS_COARSER else 0.05
    torch.testing.assert_close(output.float(), network(*inputs), atol=error, rtol=0.05)
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_three_steps_on_two_threads_are_equal_bit_for_bit(two_threads):
    inputs, gradients = jets([40, 7, 25, 0, 33, 18], 40), []
    torch.manual_seed(0)
    network = ParticleTransformer(5, **SMALL)
    for _ in range(3):
        torch.manual_seed(1)
        network.zero_grad()
        network(*inputs).square().sum().backward()
        gradients.append(
            torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        )
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


def test_initial_weights_are_those_of_the_paper():
    torch.manual_seed(0)
    network = ParticleTransformer(5, num_classes=3)
    query = network.blocks[0].attn.in_proj.weight[:128]
    assert query.std().item() == pytest.approx(
        (2 / 256) ** 0.5, rel=0.03
    )  # Xavier for a square matrix
    second, eighth = (network.blocks[number].fc2.weight.std().item() for number in (1, 7))
    assert second / eighth == pytest.approx(2, rel=0.03)  # sqrt(2 * 8) / sqrt(2 * 2)
    assert network.cls_token.std().item() == pytest.approx(0.02, rel=0.3)
    assert network.no_weight_decay() == {"cls_token"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 2}, "version=2 is not supported, only 1"),
        ({"pair_input_type": "ee"}, "pair_input_type='ee' is not supported, only 'pp'"),
        ({"include_global_token": True}, "include_global_token=True is not supported"),
        ({"pair_input_dim": 2}, "pair_input_dim: 2 pair features"),
        ({"weight_init": "mocco"}, "weight_init 'mocco'; did you mean 'moco'"),
        ({"num_classes": None}, "num_classes is missing"),
        ({"fc_params": [(3,)]}, r"fc_params: expected \(size, dropout\)"),
        ({"block_params": {"use_rmsnorm": True}}, "block_params: unknown key 'use_rmsnorm'"),
    ],
)
def test_options_of_other_versions_are_refused_by_name(options, message):
    with pytest.raises(ConfigError, match=message):
        ParticleTransformer(5, **SMALL | options)
