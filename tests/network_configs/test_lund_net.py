"""LundNet: the published numbers of parameters and names, and outputs of a loop over nodes.

The laws of set networks hold for it too, with renumbered nodes in the place of permutations.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.preprocess import make_preprocess
from weaver_tt.deploy.sample import random_sample
from weaver_tt.errors import ConfigError, DataError, TrainingError
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.network.summary import network_summary
from weaver_tt.network.weights import load_partial_weights, load_weights
from weaver_tt.nn.models.lund_net import LundNet
from weaver_tt.nn.objects import lund_tree
from weaver_tt.nn.objects.sharing import sharing
from weaver_tt.tasks.registry import make_task

ROOT = Path(__file__).parents[2]
FILE = NetworkFile(ROOT / "network_configs" / "lund_net.py")
LENGTH = 9
SMALL = {"conv_params": ((6, 5), (7, 5), (8,)), "fc_params": ((6, 0.0),)}


def mapping(*variables, length=LENGTH, parent=("lund_parent", None)):
    def group(*names):
        return {"length": length, "vars": [list(name) for name in names]}

    return {
        "inputs": {
            "lund_features": group(*((name, None) for name in variables)),
            "lund_parent": group(parent),
            "lund_mask": group(("lund_mask", None)),
        },
        "labels": {"type": "simple", "value": ["label_top", "label_QCD"]},
    }


FIVE = ("lund_lnz", "lund_lndelta", "lund_psi", "lund_lnm", "lund_lnkt")
CONFIG = from_mapping(mapping(*FIVE), source="jets.yaml")


def jets(counts, slots=LENGTH, seed=0):
    """Trees of ``counts`` nodes, each but the first with a random mother before it."""
    random = torch.Generator().manual_seed(seed)
    real = (torch.arange(slots) < torch.tensor(counts)[:, None]).float().unsqueeze(1)
    features = torch.randn(len(counts), 5, slots, generator=random)
    shares = torch.rand(len(counts), 1, slots, generator=random)
    parent = (shares * torch.arange(slots)).floor()
    parent[:, :, 0] = -1
    return {
        "lund_features": features * real,
        "lund_parent": parent * real,
        "lund_mask": real,
    }


def build(options=SMALL, mode="eval", config=CONFIG):
    """The network, every parameter and statistic random as after training."""
    torch.manual_seed(0)
    module, info = FILE.get_model(config, options)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return Network(module, info["input_names"], info=info).train(mode == "train")


def plain_loop(net, features, parent):
    """LundNet of one jet, node by node: features (C, P), parent (P,) -> logits (K,)."""
    nodes = [net.bn_fts(features[:, i][None])[0] for i in range(features.shape[1])]
    mothers = [int(place) for place in parent]
    neighbours = [[] for _ in nodes]
    for daughter, mother in enumerate(mothers):
        if mother >= 0:
            neighbours[daughter].append(mother)
            neighbours[mother].append(daughter)
    kept = []
    for conv in net.edge_convs:
        updated = []
        for i, x_i in enumerate(nodes):
            messages = []
            for j in neighbours[i]:
                message = conv.theta(x_i - nodes[j]) + conv.phi(nodes[j])
                message = conv.bns[0](message[None])[0].relu()
                for linear, norm in zip(conv.fcs, conv.bns[1:], strict=True):
                    message = norm(linear(message)[None])[0].relu()
                messages.append(message)
            size = conv.bns[-1].num_features
            mean = sum(messages) / len(messages) if messages else torch.zeros(size)
            shortcut = x_i if conv.sc is None else conv.sc_bn(conv.sc(x_i)[None])[0]
            updated.append((mean + shortcut).relu())
        nodes = updated
        kept.append(nodes)
    joined = [torch.cat(parts) for parts in zip(*kept, strict=True)]
    if net.use_fusion:
        linear, _, norm = net.fusion_block
        nodes = [norm(linear(node).relu()[None])[0] for node in joined]
    return net.fc((sum(nodes) / len(nodes))[None])[0]


@pytest.mark.parametrize(("variables", "number"), [(5, 391_724), (3, 391_528)])
def test_the_parameters_are_as_many_as_published(variables, number):
    config = from_mapping(mapping(*FIVE[:variables]), source="jets.yaml")
    module, _ = FILE.get_model(config, {})
    assert sum(parameter.numel() for parameter in module.parameters()) == number


def test_published_weights_have_the_names_and_shapes_of_ours():
    state = LundNet(5, 2).state_dict()
    names = {"bn_fts.", "fusion_block.0.", "fusion_block.2.", "fc.0.0.", "fc.1."}
    for number in range(6):
        parts = ["theta.", "phi.", "fcs.0.", "bns.0.", "bns.1."]
        if number in (0, 2, 4):
            parts += ["sc.", "sc_bn."]
        names |= {f"edge_convs.{number}.{part}" for part in parts}
    assert {name.rpartition(".")[0] + "." for name in state} == names
    assert state["edge_convs.2.theta.weight"].shape == (64, 32)
    assert state["edge_convs.2.sc.weight"].shape == (64, 32)
    assert state["fusion_block.0.weight"].shape == (384, 448)
    assert "fusion_block.0.bias" in state
    assert "edge_convs.0.theta.bias" not in state


@pytest.mark.parametrize("options", [SMALL, SMALL | {"use_fusion": False}, {}])
def test_outputs_are_those_of_a_plain_loop_over_nodes(options):
    network = build(options)
    inputs = jets([LENGTH, 1, 2, 6])
    with torch.no_grad():
        output = network(inputs)
        for row, count in enumerate([LENGTH, 1, 2, 6]):
            features = inputs["lund_features"][row, :, :count]
            parent = inputs["lund_parent"][row, 0, :count]
            expected = plain_loop(network.unwrapped, features, parent)
            torch.testing.assert_close(output[row], expected, atol=1e-5, rtol=1e-5)
    # jets differ, so that the comparison says something
    assert (output[0] - output[3]).abs().max() > 1e-3


def test_the_tree_matters():
    inputs = jets([LENGTH, LENGTH])
    chain = dict(inputs, lund_parent=(torch.arange(LENGTH) - 1.0).expand(2, 1, LENGTH))
    assert (build()(inputs) - build()(chain)).abs().max() > 1e-3


counts_of_jets = st.lists(st.integers(0, LENGTH), min_size=1, max_size=4)


@settings(max_examples=10, deadline=None)
@given(counts=counts_of_jets, seed=st.integers(0, 2**20))
def test_the_numbering_of_nodes_does_not_matter(counts, seed):
    inputs = jets(counts, seed=seed)
    network = build()
    rng = np.random.default_rng(seed)
    renumbered = {name: values.clone() for name, values in inputs.items()}
    for row, count in enumerate(counts):
        order = rng.permutation(count)
        new_place = np.argsort(order)
        for name in ("lund_features", "lund_parent"):
            renumbered[name][row, :, :count] = inputs[name][row, :, order]
        parent = renumbered["lund_parent"][row, 0]
        for node in range(count):
            if parent[node] >= 0:
                parent[node] = int(new_place[int(parent[node])])
    torch.testing.assert_close(network(renumbered), network(inputs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["eval", "train"])
@settings(max_examples=10, deadline=None)
@given(
    counts=counts_of_jets,
    seed=st.integers(0, 2**20),
    more=st.integers(1, 5),
    fill=st.sampled_from([0.0, 1.0, -7.5, 1e9]),
)
def test_neither_the_amount_of_padding_nor_what_stands_there_matters(
    mode, counts, seed, more, fill
):
    inputs = jets(counts, seed=seed)
    real = inputs["lund_mask"]
    padded = {}
    for name, values in inputs.items():
        filled = 0.0 if name == "lund_mask" else fill
        extra = torch.full((*values.shape[:2], more), filled)
        padded[name] = torch.cat((torch.where(real > 0, values, filled), extra), dim=2)
    results = []
    for given_inputs in (inputs, padded):
        network = build(mode=mode)
        results.append([network(given_inputs), *network.unwrapped.buffers()])
    for ours, with_more in zip(*results, strict=True):
        torch.testing.assert_close(with_more, ours, atol=2e-5, rtol=1e-4)


def test_a_jet_does_not_feel_the_others_of_its_batch_in_evaluation():
    network, inputs = build(), jets([3, 0, LENGTH, 1, 5])
    together = network(inputs)
    for row in range(5):
        alone = network({name: values[row : row + 1] for name, values in inputs.items()})
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("counts", [[0], [0, 0], [1], [2], [3, 0, 5, 1]])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_jets_of_few_particles_have_finite_outputs_and_gradients(counts, mode):
    network = build(mode=mode)
    output = network(jets(counts))
    cross_entropy(output, torch.zeros(len(counts), dtype=torch.long)).backward()
    assert torch.isfinite(output).all()
    for parameter in network.unwrapped.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()
    assert all(torch.isfinite(buffer).all() for buffer in network.unwrapped.buffers())


def results(mode, counts, shares=False):
    """Output, gradients and buffers of two networks, whose weights differ."""
    inputs = jets(counts)
    found = []
    with sharing(shares):
        for seed in range(2):
            network = build(mode=mode)
            torch.manual_seed(seed)
            for parameter in network.unwrapped.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
            output = network(inputs)
            output.square().sum().backward()
            grads = [parameter.grad for parameter in network.unwrapped.parameters()]
            found += [output, *grads, *network.unwrapped.buffers()]
    return found


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_members_of_an_ensemble_that_share_are_what_they_are_alone(mode):
    counts = [3, 0, LENGTH, 1, 5]
    for together, alone in zip(results(mode, counts, True), results(mode, counts), strict=True):
        assert torch.equal(together, alone)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_where_edges_are_not_counted_everything_is_the_same(monkeypatch, mode):
    """On a GPU, where counting the edges would wait, and in a compiled graph."""
    counts = [3, 0, LENGTH, 1, 5]
    counted = results(mode, counts)
    monkeypatch.setattr(lund_tree, "is_traced", lambda: True)
    for ours, expected in zip(results(mode, counts), counted, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_every_parameter_is_trained():
    network = build(mode="train")
    cross_entropy(network(jets([LENGTH, 5, 3])), torch.tensor([0, 1, 1])).backward()
    assert all(parameter.grad is not None for parameter in network.unwrapped.parameters())


def test_onnx_runtime_gives_the_same_numbers_for_any_number_of_jets_and_nodes(tmp_path):
    rows = jets([index % (LENGTH + 1) for index in range(40)], seed=2)
    sample = {name: values.numpy() for name, values in rows.items()}
    path = tmp_path / "model.onnx"
    assert export_onnx([build()], make_task(CONFIG), CONFIG, path, sample=sample) <= 1e-5


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ([-1, 0, 3], "row 1 of the batch: mother 3 of node 2 is none of its nodes"),
        ([-1, 0, 70], "row 1 of the batch: mother 70 of node 2 is none of its nodes"),
        ([-1, -2, 0], "row 1 of the batch: mother -2 of node 1 is none of its nodes"),
        ([-1, 0, 0.5], "row 1 of the batch: mother 0.5 of node 2 is none of its nodes"),
        ([-1, 2, 1], "row 1 of the batch: mother 2 of node 1 is in a circle of mothers"),
        ([0, 0, 1], "row 1 of the batch: mother 0 of node 0 is in a circle of mothers"),
    ],
)
def test_a_mother_that_is_not_in_the_row_or_a_circle_is_named(parent, message):
    inputs = jets([4, 3])
    inputs["lund_parent"][1, 0, :3] = torch.tensor(parent, dtype=torch.float32)
    with pytest.raises(DataError, match=f"column 'lund_parent', {message}"):
        build()(inputs)


def test_a_scaled_parent_is_refused_before_any_data_are_read():
    config = from_mapping(mapping(*FIVE, parent=("lund_parent", 1.0, 2.0)), source="jets.yaml")
    with pytest.raises(ConfigError, match=r"inputs\.lund_parent: .* lund_parent is scaled"):
        FILE.get_model(config, {})


@pytest.mark.parametrize("given", [((32,), ()), (), 5, ((0, 2),)])
def test_sizes_of_convolutions_that_cannot_be_are_refused(given):
    with pytest.raises(ConfigError, match="conv_params: expected the sizes"):
        FILE.get_model(CONFIG, {"conv_params": given})


def test_the_data_yaml_of_lundnet_fits_and_its_side_car_names_the_columns():
    config = load_config(ROOT / "data_configs" / "lund.yaml")
    module, info = FILE.get_model(config, {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 391_724
    assert info["input_names"] == ["lund_features", "lund_parent", "lund_mask"]
    described = make_preprocess(config, info["input_names"], ["label_Tbqq", "label_QCD"], [])
    for group, variables in described_columns().items():
        assert described[group]["var_names"] == variables


def described_columns():
    return {
        "lund_features": list(FIVE),
        "lund_parent": ["lund_parent"],
        "lund_mask": ["lund_mask"],
    }


def test_mothers_are_one_column():
    given = mapping(*FIVE)
    given["inputs"]["lund_parent"]["vars"].append(["lund_depth", None])
    config = from_mapping(given, source="jets.yaml")
    with pytest.raises(ConfigError, match=r"nothing else, found lund_parent, lund_depth"):
        FILE.get_model(config, {})


def test_without_data_operations_are_counted_and_an_export_is_compared_on_random_trees(tmp_path):
    network = build()
    assert " forward, for one row with " in network_summary(network, CONFIG)
    rows = random_sample(CONFIG, rows=20)
    parent = rows["lund_parent"][:, 0]
    assert (parent[:, 0] == -1).all()
    assert (parent < np.arange(LENGTH)).all()
    assert len(np.unique(parent)) > 4
    assert export_onnx([network], make_task(CONFIG), CONFIG, tmp_path / "model.onnx") <= 1e-5


def test_weights_of_lundnet_3_in_lundnet_5_name_the_keys_that_differ(tmp_path, caplog):
    three = from_mapping(mapping("lund_lnz", "lund_lndelta", "lund_lnkt"), source="jets.yaml")
    # of another size than the variables, so that the first convolution has a shortcut of its own
    sizes = {"conv_params": ((6, 7),), "fc_params": ((6, 0.0),)}
    path = tmp_path / "three.pt"
    torch.save(build(sizes, config=three).unwrapped.state_dict(), path)
    # four of the batch norm of the inputs, three matrices of the first convolution
    differing = [
        "bn_fts.weight is (5,) in the network, (3,) in the file",
        "bn_fts.running_var is (5,) in the network, (3,) in the file",
        "edge_convs.0.theta.weight is (6, 5) in the network, (6, 3) in the file",
        "edge_convs.0.phi.weight is (6, 5) in the network, (6, 3) in the file",
        "edge_convs.0.sc.weight is (7, 5) in the network, (7, 3) in the file",
    ]
    # training begins with those that fit
    load_partial_weights(build(sizes), str(path))
    # a prediction wants all
    with pytest.raises(TrainingError) as refused:
        load_weights(build(sizes), path)
    for text in (caplog.text, str(refused.value)):
        assert "of another shape (7)" in text
        for key in differing:
            assert key in text
