"""ParticleNeXt beside weaver-core's: names, shapes, numbers from the same weights, differences.

Weights are such that the graph matters: as drawn, the factors gamma are 1e-5, and any graph would
give the same outputs.
"""

import logging
import warnings
from copy import deepcopy

import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from weaver_tt.errors import ConfigError
from weaver_tt.nn.models import particle_next
from weaver_tt.nn.models.particle_next import ParticleNeXt, ParticleNeXtTagger
from weaver_tt.nn.objects import real_objects

COUNTS = [1, 5, 33, 128]
# two small convolutions, of all of whose options something is used
SMALL = {
    "layer_params": [(6, 16, [(3, 1), (1, 1)], 16), (4, 18, [(2, 1), (1, 1)], 16)],
    "fc_params": [(6, 0.0)],
    "edge_aggregation": "attn2",
    "global_aggregation": "attn2",
}
# as the default, with fewer neighbours and features
MEDIUM = {"layer_params": [(32, 48, [(8, 1), (4, 1), (2, 1), (1, 1)], 32)] * 2}
ONE_SCALE = [(32, 256, [(1, 1)], 64)] * 3


@pytest.fixture(scope="module")
def weaver():
    """weaver-core's module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("weaver.nn.model.ParticleNeXt")
    logging.getLogger("weaver").setLevel(logging.CRITICAL)
    return module


def jets(counts, slots, channels=7, seed=0):
    """Points, features, four-vectors and mask of massive particles; zero on padding."""
    random = torch.Generator().manual_seed(seed)
    shape = (len(counts), slots)
    mask = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).double()
    pt, mass = 1 + 100 * torch.rand(2, *shape, generator=random, dtype=torch.float64)
    eta, phi = 0.3 * torch.randn(2, *shape, generator=random, dtype=torch.float64)
    # jets lie around phi = pi, where angles jump
    phi = (phi + 2 * torch.pi) % (2 * torch.pi) - torch.pi
    momentum = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
    energy = ((pt * eta.cosh()).square() + (mass / 100).square()).sqrt()
    vectors = torch.stack((*momentum, energy), dim=1)
    features = torch.randn(len(counts), channels, slots, generator=random, dtype=torch.float64)
    points = torch.stack((eta, phi), dim=1)
    return points * mask, features * mask, vectors * mask, mask


def call(network, inputs):
    """Outputs for copies of the inputs, into which weaver-core writes."""
    return network(*[values.clone() for values in inputs])


@torch.no_grad()
def trained(network, *batches):
    """Weights with which the graph matters, and statistics of batch norm of a few batches."""
    random = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            parameter.uniform_(0.5, 1.5, generator=random)
        # what comes of edges counts beside the objects' own features
        if name.endswith(("node_mlp.5.weight", "edge_mlp.2.weight", "edge_encode.1.weight")):
            parameter.mul_(4)
        if ".sa." in name and name.endswith("2.weight"):
            parameter.mul_(4)
    *_, head = network.fc if hasattr(network, "fc") else network.pn.fc
    head.weight.normal_(std=2.0, generator=random)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.weight.uniform_(0.5, 2, generator=random)
            module.bias.normal_(std=0.3, generator=random)
            module.momentum = 0.5
    network.train()
    for batch in batches:
        call(network, batch)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.1
    return network


def shuffled(values, counts, seed=3):
    """Values (N, C, P) of each jet's real particles in another order."""
    random = torch.Generator().manual_seed(seed)
    values = values.clone()
    for row, count in enumerate(counts):
        values[row, :, :count] = values[row][:, torch.randperm(count, generator=random)]
    return values


def pair(weaver, options, batches=None):
    """weaver-core's network and ours with its weights, both in evaluation and double precision."""
    torch.manual_seed(0)
    theirs = weaver.ParticleNeXt(7, num_classes=2, trim=False, **options).double()
    if batches is None:
        batches = [jets([40] * 3, 40, seed=seed) for seed in (7, 8)]
    trained(theirs, *batches).eval()
    ours = ParticleNeXt(7, num_classes=2, **options).double().eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({}, 551_496),
        ({"use_rel_lv_fts": False}, 549_872),
        ({"edge_aggregation": "mean", "global_aggregation": "mean"}, 542_792),
        ({"layer_params": ONE_SCALE}, 397_128),
    ],
)
def test_the_parameters_are_as_many_as_weaver_cores(options, number):
    network = ParticleNeXt(7, num_classes=2, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == number


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rel_lv_fts": False},
        {"edge_aggregation": "mean", "global_aggregation": "mean"},
        {"edge_aggregation": "max", "global_aggregation": "max"},
        {"edge_aggregation": "sum", "global_aggregation": "sum"},
        {"edge_aggregation": "attn", "global_aggregation": "attn"},
        {"edge_aggregation": "attn128", "global_aggregation": "attn1"},
        {"use_rel_fts": True, "use_polarization_angle": True},
        {"edge_dim": 0, "node_dim": 0},
        {"edge_dim": 0, "use_edge_bn": False, "node_dim": 0, "use_node_bn": False},
        {"use_node_se": False, "use_edge_se": False},
        {"layer_params": [(32, 48, [(1, 1)], 32)]},
        # other numbers of neighbours in each layer, sets with gaps, sets that are listed apart
        {
            "layer_params": [
                (32, 64, [(2, 2), (1, 3), (1, 1)], 32),
                {"k": 16, "c": 64, "rd": [(8, 1), (4, 1)], "m": 32},
                (24, 48),
            ]
        },
    ],
    ids=str,
)
def test_outputs_are_those_of_weaver_core_with_every_option(weaver, options):
    theirs, ours = pair(weaver, MEDIUM | options)
    inputs = jets([1, 5, 33, 40], 40)
    with torch.no_grad():
        expected = call(theirs, inputs)
        torch.testing.assert_close(call(ours, inputs), expected, atol=1e-9, rtol=1e-9)


def test_outputs_are_those_of_weaver_core_as_its_configuration_has_them(weaver):
    theirs, ours = pair(weaver, {})
    inputs = jets(COUNTS, 128)
    points, features, vectors, mask = inputs
    with torch.no_grad():
        expected = call(theirs, inputs)
        for changed in (
            (points, features, shuffled(vectors, COUNTS), mask),
            (shuffled(points, COUNTS), features, vectors, mask),
        ):
            moved = (call(theirs, changed) - expected).abs().max(1).values
            # a jet of one particle has but one graph
            assert moved[1:].min() > 0.1
        torch.testing.assert_close(call(ours, inputs), expected, atol=1e-9, rtol=1e-9)
        in_single = [values.float() for values in inputs]
        expected = call(theirs.float(), in_single)
        torch.testing.assert_close(call(ours.float(), in_single), expected, atol=1e-5, rtol=0)


def test_weaver_core_trims_padding_and_gets_the_same_outputs(weaver):
    theirs, ours = pair(weaver, SMALL)
    theirs.trim = True
    inputs = jets([1, 5, 30], 40)
    with torch.no_grad():
        for _ in range(7):  # it starts after five batches
            expected = call(theirs, inputs)
        torch.testing.assert_close(call(ours, inputs), expected, atol=1e-9, rtol=1e-9)


def test_training_on_full_jets_is_weaver_cores_with_the_same_gradients_and_statistics(weaver):
    theirs, ours = pair(weaver, {"fc_params": [(256, 0.0)]})
    inputs = jets([128] * 3, 128)
    target = torch.tensor([0, 1, 1])
    ends = []
    for network in (theirs.train(), ours.train()):
        output = call(network, inputs)
        cross_entropy(output, target).backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        ends.append({"output": output} | gradients | dict(network.named_buffers()))
    assert ends[0].keys() == ends[1].keys()
    for name, expected in ends[0].items():
        scale = expected.abs().max().item()
        torch.testing.assert_close(
            ends[1][name],
            expected,
            # of sums that cancel, rounding remains
            atol=1e-6 * scale + 1e-9,
            rtol=1e-4,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def test_the_same_seed_gives_weaver_cores_initial_weights(weaver):
    torch.manual_seed(5)
    theirs = weaver.ParticleNeXt(7, num_classes=2).state_dict()
    torch.manual_seed(5)
    ours = ParticleNeXt(7, num_classes=2).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_features_of_pairs_may_be_given(weaver):
    theirs, ours = pair(
        weaver,
        SMALL | {"edge_input_dim": 3, "use_rel_lv_fts": False},
        [(*jets([12] * 3, 12, seed=7), torch.randn(3, 3, 12, 12, dtype=torch.float64))],
    )
    given = torch.randn(3, 3, 12, 12, dtype=torch.float64)  # not symmetric
    inputs = (*jets([12, 2, 7], 12), given)
    with torch.no_grad():
        torch.testing.assert_close(call(ours, inputs), call(theirs, inputs))
        assert (call(ours, (*inputs[:4], given.mT)) - call(ours, inputs)).abs().max() > 1e-3
        with pytest.raises(ConfigError, match="edges are missing"):
            ours(*inputs[:4])


def test_the_tagger_of_candidates_and_vertices_is_weaver_cores(weaver):
    torch.manual_seed(0)
    theirs = weaver.ParticleNeXtTagger(7, 4, num_classes=3, trim=False, **SMALL).double()
    batches = [
        (*jets([20] * 3, 20, seed=seed), *jets([5] * 3, 5, channels=4, seed=seed + 1))
        for seed in (7, 8)
    ]
    trained(theirs, *batches).eval()
    ours = ParticleNeXtTagger(7, 4, num_classes=3, **SMALL).double().eval()
    ours.load_state_dict(theirs.state_dict())
    inputs = (*jets([20, 1, 3, 0], 20), *jets([5, 0, 2, 1], 5, channels=4, seed=1))
    with torch.no_grad():
        torch.testing.assert_close(call(ours, inputs), call(theirs, inputs), atol=1e-9, rtol=1e-9)


def small(mode="eval", **options):
    """A small network of single precision whose graph matters."""
    torch.manual_seed(0)
    network = ParticleNeXt(7, num_classes=2, **(SMALL | options))
    batch = [values.float() for values in jets([12] * 4, 12, seed=7)]
    return trained(network, batch).train(mode == "train")


def single(counts, slots):
    """Jets in single precision."""
    return [values.float() for values in jets(counts, slots)]


def test_weaver_core_fails_on_few_slots_and_jets_without_particles_and_ours_does_not(weaver):
    theirs, _ = pair(weaver, SMALL)
    with pytest.raises(RuntimeError, match="out of range"):
        call(theirs, jets([3, 2], 3))
    assert call(theirs, jets([0, 2], 40))[0].isnan().all()
    network = small()
    inputs = single([3, 0], 3)
    padded = [pad(values, (0, 40)) for values in inputs]
    assert torch.isfinite(network(*inputs)).all()
    torch.testing.assert_close(network(*inputs), network(*padded), atol=1e-6, rtol=1e-5)


def test_inputs_are_left_as_they_are():
    inputs = single([5, 0, 12], 12)
    before = [values.clone() for values in inputs]
    for mode in ("eval", "train"):
        small(mode, input_dropout=0.2)(*inputs)
    assert all(torch.equal(values, old) for values, old in zip(inputs, before, strict=True))


def test_without_a_mask_all_objects_are_real_and_masks_may_have_holes():
    network = small()
    points, features, vectors, mask = single([6, 6], 6)
    assert torch.equal(network(points, features, vectors), network(points, features, vectors, mask))
    inputs = single([6, 3], 9)
    order = torch.tensor([8, 0, 7, 1, 2, 6, 3, 4, 5])
    with_holes = [values[..., order] for values in inputs]
    torch.testing.assert_close(network(*with_holes), network(*inputs), atol=1e-6, rtol=1e-5)


def test_particles_on_both_sides_of_phi_pi_are_neighbours():
    """Turned by half a turn, a jet across the jump is one without: nothing changes."""
    network = small(use_rel_lv_fts=False)
    points, features, vectors, mask = single([12, 8], 12)
    assert (points[:, 1].max(1).values - points[:, 1].min(1).values).min() > torch.pi
    turned = points.clone()
    turned[:, 1] = (points[:, 1] % (2 * torch.pi)) - torch.pi
    torch.testing.assert_close(
        network(turned, features, vectors, mask),
        network(points, features, vectors, mask),
        atol=1e-5,
        rtol=1e-5,
    )


def results(network):
    """Output, gradients and buffers for jets of different lengths."""
    output = network(*jets([3, 0, 12, 1, 5, 7, 7], 12))
    output.square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    return [output, *gradients, *network.buffers()]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(
    "options",
    [{}, {"edge_aggregation": "max"}, {"layer_params": [(8, 16, [(4, 1), (4, 1)], 16)]}],
    ids=str,
)
def test_where_neighbours_are_not_counted_everything_is_the_same(monkeypatch, mode, options):
    """In a graph for other batches too, edges that are not there are listed."""
    network = small(mode, **options).double()
    counted = results(deepcopy(network))
    monkeypatch.setattr(real_objects, "is_traced", lambda: True)
    monkeypatch.setattr(particle_next, "is_traced", lambda: True)
    for ours, expected in zip(results(network), counted, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)


def test_three_trainings_on_two_threads_end_with_the_same_bits(two_threads):
    counts = torch.randint(0, 12, (20,), generator=torch.Generator().manual_seed(1)).tolist()
    inputs = single(counts, 12)
    ends = []
    for _ in range(3):
        network = small("train", input_dropout=0.1)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(2):
            optimizer.zero_grad()
            cross_entropy(network(*inputs), torch.arange(20) % 2).backward()
            optimizer.step()
        ends.append(torch.cat([values.flatten() for values in network.state_dict().values()]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_close_to_float32_and_trains(monkeypatch, dtype, counted):
    if not counted:
        # edges that are not there are listed
        monkeypatch.setattr(real_objects, "is_traced", lambda: True)
        monkeypatch.setattr(particle_next, "is_traced", lambda: True)
    network = small()
    inputs = single([5, 0, 12], 12)
    with torch.autocast("cpu", dtype):
        output = network(*inputs)
    torch.testing.assert_close(output.float(), network(*inputs), atol=0.3, rtol=0.1)
    with torch.autocast("cpu", dtype):
        output = network.train()(*inputs).float()
    cross_entropy(output, torch.tensor([0, 1, 1])).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_input_dropout_leaves_out_objects_in_training_only():
    network = small(input_dropout=0.5)
    inputs = single([12, 12], 12)
    assert torch.equal(network(*inputs), network(*inputs))
    torch.manual_seed(0)
    network.train()
    assert not torch.equal(network(*inputs), network(*inputs))
    tagger = ParticleNeXtTagger(7, 7, num_classes=2, sv_input_dropout=0.25, **SMALL)
    mask = torch.ones(50, 40, dtype=torch.bool)
    kept = tagger.sv_input_dropout(mask).float().mean().item()
    assert kept == pytest.approx(0.75, abs=0.05)  # 5 standard deviations
    assert tagger.pf_input_dropout(mask).all()


def test_for_inference_gives_probabilities():
    inputs = single([12, 5], 12)
    outputs = small(for_inference=True)(*inputs)
    torch.testing.assert_close(outputs, small()(*inputs).softmax(1))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("update_coords", True),
        ("lv_aggregation", True),
        ("use_rel_dist", True),
        ("for_segmentation", True),
        ("pt_dropout", 0.5),
        ("lorentz_vector_scale", 0.1),
        ("lorentz_vector_smear", 0.1),
        ("lorentz_vector_shift", 0.1),
    ],
)
def test_what_is_not_offered_is_said_to_be_so(option, value):
    with pytest.raises(ConfigError, match=f"ParticleNeXt: {option}={value} is not offered"):
        ParticleNeXt(7, num_classes=2, **{option: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_params": 5}, "layer_params: expected \\(neighbours, features"),
        ({"layer_params": []}, "layer_params: expected \\(neighbours, features"),
        ({"layer_params": [(32,)]}, "layer_params: expected \\(neighbours, features"),
        ({"layer_params": [(0, 16)]}, "layer_params: expected \\(neighbours, features"),
        ({"layer_params": [(4, 16, [(1, 1)], 17)]}, "an even number of features"),
        ({"layer_params": [(4, 16, [(8, 1)])]}, "of 4 neighbours; expected .* at least one"),
        ({"layer_params": [{"k": 4, "c": 16, "dr": 1}]}, "unknown key 'dr'; known: c, k, m, rd"),
        ({"edge_aggregation": "attn7"}, "edge_aggregation 'attn7': 7 weights do not divide 64"),
        ({"global_aggregation": "atn4"}, "global_aggregation 'atn4'; expected mean, sum, max"),
        ({"global_aggregation": "attn512"}, "more weights than the 256 features"),
        ({"layer_params": [(4, 16, None, 8)]}, "use_edge_se: needs at least 16 features, found 8"),
        ({"fc_params": [(5, 2.0)]}, "fc_params: expected \\(size, dropout\\)"),
        ({"num_classes": None}, "num_classes is missing"),
        ({"input_dropout": 1.5}, "input_dropout 1.5: expected the share .* below 1"),
        ({"input_dropout": "abc"}, "input_dropout 'abc': expected the share"),
        ({"node_dim": -3}, "node_dim -3: expected a number of features"),
        ({"edge_dim": -1}, "edge_dim -1: expected a number of features"),
    ],
)
def test_options_of_another_form_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ParticleNeXt(7, **({"num_classes": 2} | options))


def test_missing_four_vectors_are_named():
    points, features, _, mask = single([5], 5)
    with pytest.raises(ConfigError, match="lorentz_vectors are missing"):
        small()(points, features, None, mask)
