"""The semi-equivariant network: a plain loop over particles, and Lorentz transformations."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.models.vec_net import VecNet, VecNetOptions
from weaver_tt.nn.objects.partners import all_others
from weaver_tt.nn.objects.point_cloud import make_cloud

SMALL = {"hidden": 6, "scalar": 3, "message": 4, "heads": 2, "iterations": 2}
INVARIANT = SMALL | {"scalars": "invariant"}
METRIC = torch.tensor([-1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
# graphs that no Lorentz transformation changes
GRAPHS = [
    {},
    {"graph": "static-knn", "k": 3, "distance": "minkowski"},
    {"graph": "dynamic-knn", "k": 3, "distance": "minkowski"},
    {"keep": 5},
]


def jets(counts, seed=0):
    """Mask, features (N, 3, P), vectors and points of massive particles within 0.3 of an axis."""
    random = torch.Generator().manual_seed(seed)
    shape = len(counts), max(counts)
    mask = (torch.arange(shape[1]) < torch.tensor(counts)[:, None]).unsqueeze(1).double()

    def draw():
        return torch.randn(shape, generator=random, dtype=torch.float64)

    pt = 5 * draw().exp()
    eta, phi = 0.2 * draw(), 0.2 * draw()
    px, py, pz = pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()
    energy = (px**2 + py**2 + pz**2 + 0.14**2).sqrt()
    vectors = torch.stack((px, py, pz, energy), dim=1) * mask
    features = torch.stack((pt.log(), eta, phi), dim=1) * mask
    points = torch.stack((eta, phi), dim=1) * mask
    return {"mask": mask, "features": features, "vectors": vectors, "points": points}


def build(options, seed=0, large=1.0):
    """A network in evaluation with statistics as of a training, weights ``large`` times as big."""
    torch.manual_seed(seed)
    network = VecNet(3, 2, VecNetOptions(**options)).double()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data *= large
    given_jets = jets([9] * 40, seed=1)
    network.train()
    with torch.no_grad():
        for _ in range(40):
            network(**given_jets)
    return network.eval()


def dot(one, other):
    return float((one * METRIC * other).sum())


def log(value):
    return math.copysign(math.log1p(abs(value)), value)


def nearest(distance, count, k):
    """The ``k`` nearest others of each, by a function of two numbers."""
    chosen = []
    for i in range(count):
        others = [j for j in range(count) if j != i]
        chosen.append(sorted(others, key=lambda j, i=i: distance(i, j))[:k])
    return chosen


def plain_loop(net, features, momenta, points):
    """The equations of one jet, particle by particle: (C, n), (4, n), (2, n) -> logits (K,)."""
    options = net.options
    count = momenta.shape[1]
    particles = range(count)
    channels = range(options.vectors)
    vectors = [[momenta[:, i] * unit for unit in net.units] for i in particles]
    if not options.has_neighbours:
        partners = [[j for j in particles if j != i] for i in particles]
    else:
        partners = nearest(lambda i, j: (points[:, i] - points[:, j]).norm(), count, options.k)

    def known(i, norm):
        own = [log(dot(vectors[i][c], vectors[i][c])) for c in channels]
        jet = [sum(vectors[j][c] for j in particles) for c in channels]
        of_jet = [log(dot(vectors[i][c], jet[c])) for c in channels]
        values = torch.cat((features[:, i], torch.tensor(own + of_jet, dtype=torch.float64)))
        return norm(values[None])[0]

    hidden = [net.embed(known(i, net.norms[0])) for i in particles]
    for norm, scalars, step in zip(net.norms, net.scalars, net.iterations, strict=True):
        own = [torch.cat((hidden[i], scalars(known(i, norm)))) for i in particles]
        new_hidden, new_vectors = [], []
        for i in particles:
            weights, messages, moves = [], [], []
            for j in partners[i]:
                differences = [vectors[i][c] - vectors[j][c] for c in channels]
                pair = [log(dot(vectors[i][c], vectors[j][c])) for c in channels]
                pair += [log(dot(d, d)) for d in differences]
                pair = torch.tensor(pair, dtype=torch.float64)
                message = step.phi_e.weight @ torch.cat((own[i], own[j], pair)) + step.phi_e.bias
                message = step.phi_e_blocks[0](message[None])[0]
                for layer, block in zip(step.phi_e_layers, step.phi_e_blocks[1:], strict=True):
                    message = block(layer(message)[None])[0]
                messages.append(message)
                weights.append((10 * (step.attention(message) / 10).tanh()).exp())
                moves.append(step.phi_x(message).tanh())
            attended = []
            for place in range(options.message):
                head = place * options.heads // options.message
                total = sum(w[head] for w in weights)
                both = zip(weights, messages, strict=True)
                attended.append(sum(w[head] * m[place] for w, m in both) / total)
            moved = []
            for c in channels:
                change = sum(
                    (step.a[c] * vectors[i][c] + step.b[c] * vectors[j][c]) * move[c]
                    for j, move in zip(partners[i], moves, strict=True)
                )
                moved.append(vectors[i][c] + change / len(partners[i]))
            new_vectors.append(moved)
            update = step.phi_h(torch.cat((own[i], torch.stack(attended)))[None])[0]
            if options.shortcut == "skip":
                update = hidden[i] + update
            elif options.shortcut == "concat":
                update = torch.cat((hidden[i], update))
            new_hidden.append(update)
        hidden, vectors = new_hidden, new_vectors
    jet = [sum(vectors[i][c] for i in particles) for c in channels]
    masses = torch.tensor([log(dot(p, p)) for p in jet], dtype=torch.float64)
    return net.head(torch.cat((sum(hidden) / count, masses))[None])[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shortcut": "concat", "node_layers": 2, "layer_norm": True, "edge_layers": 1},
        {"graph": "static-knn", "k": 3, "shortcut": "none", "activation": "Tanh", "vectors": 1},
    ],
)
def test_outputs_are_those_of_a_plain_loop_over_particles(options):
    network = build(SMALL | options, large=2.0)
    counts = [7, 2, 5]
    given_jets = jets(counts)
    with torch.no_grad():
        output = network(**given_jets)
        for row, count in enumerate(counts):
            parts = [given_jets[name][row, :, :count] for name in ("features", "vectors", "points")]
            if network.options.has_neighbours and count <= network.options.k:
                continue
            torch.testing.assert_close(output[row], plain_loop(network, *parts))
    # jets differ, so that the comparison says something
    assert (output[0] - output[2]).abs().max() > 0.01


@torch.no_grad()
def test_evaluation_with_the_statistics_of_a_batch_is_what_training_was_on_it():
    """Up to n / (n - 1) in the variance of the 100 jets of the head."""
    torch.manual_seed(0)
    network = VecNet(3, 2, VecNetOptions(**SMALL, node_layers=1)).double()
    for norm in network.modules():
        if isinstance(norm, ObjectNorm):
            norm.momentum = 1.0
    given_jets = jets([9] * 100)
    in_training = network(**given_jets)
    in_evaluation = network.eval()(**given_jets)
    torch.testing.assert_close(in_evaluation, in_training, atol=0.03, rtol=0)
    assert in_training.std(0).max() > 0.1


def boost(direction, gamma):
    """Matrix of px, py, pz, E into the frame that moves along ``direction`` (3,)."""
    axis = torch.tensor(direction, dtype=torch.float64)
    axis = axis / axis.norm()
    beta = math.sqrt(1 - 1 / gamma**2)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] += (gamma - 1) * torch.outer(axis, axis)
    matrix[:3, 3] = matrix[3, :3] = -gamma * beta * axis
    matrix[3, 3] = gamma
    return matrix


def rotation(seed):
    """A random rotation, or one with a reflection, of px, py, pz."""
    random = torch.Generator().manual_seed(seed)
    orthogonal, _ = torch.linalg.qr(torch.randn(3, 3, generator=random, dtype=torch.float64))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = orthogonal
    return matrix


def transformed(given_jets, matrix):
    vectors = torch.einsum("ab,nbp->nap", matrix, given_jets["vectors"])
    return given_jets | {"vectors": vectors}


axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: math.hypot(*axis) > 0.1)
NETWORKS = [build(INVARIANT | graph, large=3.0) for graph in GRAPHS]


@torch.no_grad()
@pytest.mark.parametrize("network", NETWORKS, ids=[str(graph) for graph in GRAPHS])
@settings(max_examples=10, deadline=None)
@given(axis=axes, gamma=st.floats(1, 5), seed=st.integers(0, 2**20))
def test_lorentz_transformations_leave_the_logits_and_turn_the_vectors(network, axis, gamma, seed):
    given_jets = jets([9, 8, 9, 1, 0, 9, 6, 9])
    matrix = boost(axis, gamma) @ rotation(seed)
    turned = transformed(given_jets, matrix)
    logits = network(**given_jets)
    limit = 1e-7 * logits.abs().clamp(min=1)
    assert ((network(**turned) - logits).abs() < limit).all()
    # jets are told apart by more than 1, so that it is no network of constants
    assert logits.max(0).values.sub(logits.min(0).values).max() > 1

    vectors = final_vectors(network, given_jets)  # (M, V, 4)
    of_turned = final_vectors(network, turned)
    expected = vectors @ matrix.T
    torch.testing.assert_close(of_turned, expected, atol=1e-7 * expected.abs().max(), rtol=0)
    # and have moved
    assert (vectors - initial_vectors(network, given_jets)).abs().max() > 1


def lab_frame(light_cone):
    """(M, 4 V) -> px, py, pz, E of each channel, (M, V, 4)."""
    px, py, plus, minus = light_cone.chunk(4, dim=1)
    return torch.stack((px, py, (plus - minus) / 2, (plus + minus) / 2), dim=2)


def final_vectors(network, given_jets):
    cloud = network.make_cloud(given_jets["mask"])
    _, vectors = network.pass_messages(cloud, None, given_jets["vectors"], None)
    return lab_frame(vectors)


def initial_vectors(network, given_jets):
    cloud = network.make_cloud(given_jets["mask"])
    momenta = cloud.gather(given_jets["vectors"])  # (M, 4)
    return momenta.unsqueeze(1) * network.units.unsqueeze(1)


@pytest.mark.parametrize(
    "options",
    [SMALL, INVARIANT | {"graph": "static-knn", "k": 3}],
    ids=["features", "neighbours in eta and phi"],
)
def test_what_transformations_change_shows_in_the_logits(options):
    """Features and points as they are in the frame that moves."""
    network = build(options, large=3.0)
    given_jets = jets([9, 8, 9])
    turned = transformed(given_jets, boost((1.0, 0.3, 0.0), 1.5))
    px, py, pz, _ = turned["vectors"].unbind(1)
    pt = torch.hypot(px, py).clamp(min=1e-9)
    eta, phi = torch.asinh(pz / pt), torch.atan2(py, px)
    turned["features"] = torch.stack((pt.log(), eta, phi), dim=1) * turned["mask"]
    turned["points"] = torch.stack((eta, phi), dim=1) * turned["mask"]
    assert (network(**turned) - network(**given_jets)).abs().max() > 1e-3


def test_vectors_stay_finite_and_bounded_at_a_boost_of_100_in_single_precision():
    """Each iteration at most triples the longest vector of a jet as a = b = 1."""
    options = VecNetOptions(scalars="invariant", iterations=6)
    network = VecNet(0, 2, options)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data *= 10
    for axis in ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (1.0, -2.0, 3.0)):
        turned = transformed(jets([9, 1, 30]), boost(axis, 100.0))
        single = {name: values.float() for name, values in turned.items()}
        vectors = final_vectors(network, single)
        assert torch.isfinite(network(**single)).all()
        assert vectors.abs().max() <= 3**6 * 2 * single["vectors"].abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("options", GRAPHS, ids=str)
def test_half_precision_is_close_to_float32_and_trains(options, dtype):
    network = build(SMALL | options).float()
    inputs = {name: values.float() for name, values in jets([9, 1, 0, 4]).items()}
    with torch.autocast("cpu", dtype):
        output = network(**inputs)
    torch.testing.assert_close(output.float(), network(**inputs), atol=0.1, rtol=0.1)
    with torch.autocast("cpu", dtype):
        output = network.train()(**inputs)
    cross_entropy(output.float(), torch.tensor([0, 1, 1, 0])).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_what_399_partners_send_is_averaged_and_not_added():
    """Messages between 0 and 1: their mean is 0.5 +- 0.29 / sqrt(399)."""
    network = build(SMALL)
    pairs = all_others(make_cloud(torch.ones(1, 400, dtype=torch.bool)))
    random = torch.Generator().manual_seed(0)
    messages = torch.rand(400, 400, 4, generator=random, dtype=torch.float64)
    attended = network.iterations[0]._attend(messages, pairs)
    assert attended.shape == (400, 4)
    assert (attended - 0.5).abs().max() < 0.1


def test_a_layer_norm_of_one_number_does_not_make_it_a_constant():
    """Which it would: a number less itself."""
    options = SMALL | {"hidden": 1, "message": 1, "heads": 1, "activation": "Tanh"}
    logits = build(options | {"layer_norm": True})(**jets([9, 8, 7]))
    assert torch.equal(logits, build(options)(**jets([9, 8, 7])))
    assert (logits[0] - logits[1:]).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 257}, r"hidden 257: expected a whole number from 1 to 256"),
        ({"iterations": 0}, r"iterations 0: expected a whole number from 1 to 6"),
        ({"k": 2}, r"k 2: expected a whole number from 3 to 32"),
        ({"heads": 3}, r"heads 3: does not divide message 16; expected one of 1, 2, 4, 8, 16"),
        ({"shortcut": "skipp"}, r"shortcut 'skipp'; .*did you mean 'skip'"),
        ({"activation": "relu"}, r"activation 'relu'; .*did you mean 'ReLU'"),
        ({"graph": "knn"}, r"graph 'knn'; "),
        ({"dropout": 1.0}, r"dropout 1\.0: expected at least 0 and below 1"),
        ({"keep": 0}, r"keep 0: expected a number of particles, or none"),
        ({"keep": True}, r"keep True: expected a number of particles, or none"),
        ({"vectors": 0, "scalars": "invariant"}, r"vectors 0: .* would see nothing"),
        (
            {"vectors": 0, "graph": "static-knn", "distance": "minkowski"},
            r"distance 'minkowski': there are no vectors",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_with_what_can(options, message):
    with pytest.raises(ConfigError, match=f"network option {message}"):
        VecNetOptions(**options)
