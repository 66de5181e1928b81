"""ParticleNet, and the tagger of candidates and vertices.

Weights and outputs of weaver-core 0.5.3, and what differs on purpose.
"""

import itertools
import logging
import warnings

import pytest
import torch
from torch.nn.functional import cross_entropy

from weaver_tt.errors import ConfigError
from weaver_tt.nn.models.particle_net import FeatureConv, ParticleNet, ParticleNetTagger

COUNTS = [0, 1, 2, 3, 20, 17, 16, 12, 20]
SMALL = [(4, (8,))]
DEFAULT = [(7, (32, 32, 32)), (7, (64, 64, 64))]
PUBLIC = [(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))]


@pytest.fixture(scope="module")
def weaver():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("weaver.nn.model.ParticleNet")
    logging.getLogger("weaver").setLevel(logging.CRITICAL)
    return module


def trained(network):
    """Batch norm as after training."""
    random = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            with torch.no_grad():
                module.running_mean.normal_(std=0.3, generator=random)
                module.running_var.uniform_(0.5, 2, generator=random)
                module.weight.uniform_(-0.5, 2, generator=random)
                module.bias.normal_(std=0.3, generator=random)
    return network


def jets(counts, slots, channels=6, wrap=True, seed=0):
    """Points, features and mask; with ``wrap``, padding holds numbers as real objects do."""
    random = torch.Generator().manual_seed(seed)
    mask = (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()
    points, features = (
        torch.randn(len(counts), 2, slots, generator=random),
        torch.randn(len(counts), channels, slots, generator=random),
    )
    return (points, features, mask) if wrap else (points * mask, features * mask, mask)


def pair(weaver, name, *args, **options):
    """weaver-core's network and ours with its weights, both in evaluation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = trained(getattr(weaver, name)(*args, **options)).eval()
    ours = {"ParticleNet": ParticleNet, "ParticleNetTagger": ParticleNetTagger}[name](
        *args, **options
    ).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize(
    "conv_params",
    [SMALL, [(5, (8, 8, 6)), (3, (8, 6))], DEFAULT, PUBLIC],
    ids=["one", "two", "default", "public"],
)
@pytest.mark.parametrize(
    ("use_fusion", "use_fts_bn", "use_counts", "for_inference"),
    [
        *itertools.product([True, False], [True, False], [True], [False]),
        (True, True, False, True),
        (False, False, False, True),
    ],
)
def test_outputs_are_those_of_weaver_core(
    weaver, conv_params, use_fusion, use_fts_bn, use_counts, for_inference
):
    torch.manual_seed(0)
    options = {
        "use_fusion": use_fusion,
        "use_fts_bn": use_fts_bn,
        "use_counts": use_counts,
        "for_inference": for_inference,
    }
    theirs, ours = pair(
        weaver, "ParticleNet", 6, 3, conv_params, [(16, 0.1), (12, 0.2)], trim=False, **options
    )
    inputs = jets(COUNTS, 20, wrap=use_fts_bn)
    with torch.no_grad():
        torch.testing.assert_close(ours(*inputs), theirs(*inputs), atol=1e-5, rtol=0)


def test_weaver_core_trims_padding_and_gets_the_same_outputs(weaver):
    torch.manual_seed(0)
    theirs, ours = pair(weaver, "ParticleNet", 6, 3)
    inputs = jets([0, 1, 12, 9], 30)
    with torch.no_grad():
        for _ in range(7):  # it starts after five batches
            expected = theirs(*inputs)
        torch.testing.assert_close(ours(*inputs), expected, atol=1e-5, rtol=0)


def test_segmentation_gives_an_output_for_each_real_object(weaver):
    torch.manual_seed(0)
    theirs, ours = pair(weaver, "ParticleNet", 6, 3, SMALL, [(16, 0.1)], for_segmentation=True)
    points, features, mask = jets(COUNTS, 20)
    with torch.no_grad():
        output = ours(points, features, mask)
        torch.testing.assert_close(output, theirs(points, features, mask) * mask, atol=1e-5, rtol=0)
    assert output.shape == (len(COUNTS), 3, 20)


def test_training_on_full_jets_is_weaver_cores_with_the_same_gradients_and_statistics(weaver):
    torch.manual_seed(0)
    theirs, ours = pair(
        weaver, "ParticleNet", 6, 3, [(5, (8, 8, 8)), (3, (8, 6))], [(16, 0.0)], trim=False
    )
    points, features, _ = jets([12] * 6, 12)
    target, ends = torch.tensor([0, 1, 2, 0, 1, 2]), []
    for network in (theirs.train(), ours.train()):
        cross_entropy(network(points, features, torch.ones(6, 1, 12)), target).backward()
        ends.append(
            {name: parameter.grad for name, parameter in network.named_parameters()}
            | dict(network.named_buffers())
        )
    for name, expected in ends[0].items():
        if not name.startswith("trimmer"):
            torch.testing.assert_close(
                ends[1][name],
                expected,
                atol=1e-5,
                rtol=1e-4,
                msg=lambda text, name=name: f"{name}: {text}",
            )


def test_the_same_seed_gives_weaver_cores_initial_weights(weaver):
    torch.manual_seed(5)
    theirs = weaver.ParticleNet(7, 2).state_dict()
    torch.manual_seed(5)
    ours = ParticleNet(7, 2).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("dropout", [None, 0.2])
def test_the_tagger_of_candidates_and_vertices_is_weaver_cores(weaver, dropout):
    torch.manual_seed(0)
    options = {
        "pf_input_dropout": dropout,
        "sv_input_dropout": dropout,
        "use_fusion": dropout is None,
    }
    theirs, ours = pair(
        weaver, "ParticleNetTagger", 6, 4, 3, DEFAULT, [(16, 0.1)], trim=False, **options
    )
    candidates, vertices = (
        jets(COUNTS, 20),
        jets([0, 2, 0, 1, 5, 5, 3, 0, 1], 5, channels=4, seed=1),
    )
    with torch.no_grad():
        expected = theirs(*[values.clone() for values in (*candidates, *vertices)])
        torch.testing.assert_close(ours(*candidates, *vertices), expected, atol=1e-5, rtol=0)


def test_feature_convolution_is_weaver_cores(weaver):
    theirs = trained(weaver.FeatureConv(6, 4)).eval()
    ours = FeatureConv(6, 4).eval()
    ours.load_state_dict(theirs.state_dict())
    values = torch.randn(3, 6, 5)
    torch.testing.assert_close(ours(values), theirs(values))


def test_input_dropout_leaves_out_objects_in_training_only():
    network = ParticleNetTagger(6, 4, 2, SMALL, [(4, 0.0)], pf_input_dropout=0.25)
    mask = torch.ones(50, 40, dtype=torch.bool)
    kept = network.train().pf_input_dropout(mask).float().mean().item()
    assert kept == pytest.approx(0.75, abs=0.05)  # 5 standard deviations
    assert network.sv_input_dropout(mask).all()
    assert network.eval().pf_input_dropout(mask).all()


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
def test_fewer_slots_than_neighbours_are_no_error(slots):
    network = trained(ParticleNet(6, 3)).eval()  # 7 neighbours
    points, features, mask = jets([1, 0, slots], slots)
    padded = [torch.nn.functional.pad(values, (0, 9)) for values in (points, features, mask)]
    torch.testing.assert_close(network(points, features, mask), network(*padded), atol=1e-6, rtol=0)


def test_without_a_mask_all_objects_are_real():
    network = trained(ParticleNet(6, 3, SMALL)).eval()
    points, features, mask = jets([5, 5], 5)
    assert torch.equal(network(points, features), network(points, features, mask))


def test_masks_may_have_holes():
    network = trained(ParticleNet(6, 3, SMALL)).eval()
    points, features, mask = jets([6, 3], 9)
    order = torch.tensor([8, 0, 7, 1, 2, 6, 3, 4, 5])
    torch.testing.assert_close(
        network(points[..., order], features[..., order], mask[..., order]),
        network(points, features, mask),
        atol=1e-6,
        rtol=0,
    )


def test_three_trainings_on_two_threads_end_with_the_same_bits(two_threads):
    points, features, mask = jets(
        torch.randint(0, 40, (60,), generator=torch.Generator().manual_seed(1)).tolist(), 40
    )
    target, ends = torch.arange(60) % 3, []
    for _ in range(3):
        torch.manual_seed(0)
        network = ParticleNet(6, 3, [(7, (32, 32)), (7, (48, 40))])
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(2):
            optimizer.zero_grad()
            cross_entropy(network(points, features, mask), target).backward()
            optimizer.step()
        ends.append(
            torch.cat([values.detach().flatten() for values in network.state_dict().values()])
        )
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_bf16_autocast_is_close_to_float32_and_trains():
    torch.manual_seed(0)
    network, inputs = trained(ParticleNet(6, 3, SMALL)).eval(), jets(COUNTS, 20)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(*inputs)
    torch.testing.assert_close(output.float(), network(*inputs), atol=0.1, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(
            network.train()(*inputs).float(), torch.zeros(len(COUNTS), dtype=torch.long)
        )
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize(
    "conv_params", [7, "16", [], [(7, ())], [(0, (8,))], [(7, 8)], [(7, (8, -1))]]
)
def test_edge_convolutions_of_another_form_are_refused(conv_params):
    with pytest.raises(ConfigError, match="conv_params: expected \\(k, sizes of layers\\)"):
        ParticleNet(6, 3, conv_params)


@pytest.mark.parametrize("fc_params", [(128, 0.1), [(128, 1.5)], [(0, 0.1)], "128"])
def test_dense_layers_of_another_form_are_refused(fc_params):
    with pytest.raises(ConfigError, match="fc_params: expected \\(size, dropout\\)"):
        ParticleNet(6, 3, SMALL, fc_params)
