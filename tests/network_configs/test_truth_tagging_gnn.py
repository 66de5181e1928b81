"""The paper's network: size, symmetries, events without jets, reproducibility, ONNX."""

import ast
import math
from pathlib import Path

import onnxruntime
import pytest
import torch

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.network.file import NetworkFile

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "truth_tagging_gnn.py")
SMALL = {"hidden": 16, "blocks": 2, "head": (8,)}
RAW = tuple(Variable(name=name) for name in ("jet_pt", "jet_eta", "jet_phi", "jet_flavour"))


def config(labels=("jet_istag",), variables=RAW, pad_mode="constant"):
    values = {
        name: Expression(name, ast.parse(name, mode="eval").body, frozenset({name}))
        for name in labels
    }
    group = InputGroup(name="jets", variables=variables, length=10, pad_mode=pad_mode)
    return DataConfig(
        source="truth.yaml",
        text="",
        inputs={"jets": group},
        labels=Labels(object_targets={"jets": values}),
    )


def jets(counts, slots, seed=0):
    """Random jets (N, 4, P) with ``counts`` of them in the rows."""
    random = torch.Generator().manual_seed(seed)
    uniform = torch.rand(len(counts), 4, slots, generator=random)
    flavour = torch.tensor([0.0, 4.0, 5.0])[(3 * uniform[:, 3]).long()]
    values = torch.stack(
        (20 + 300 * uniform[:, 0], 4 * uniform[:, 1] - 2, 2 * math.pi * uniform[:, 2], flavour),
        dim=1,
    )
    return values * (torch.arange(slots) < torch.tensor(counts).unsqueeze(1)).unsqueeze(1)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return FILE.get_model(config(), SMALL)[0]


def test_the_network_of_the_paper_has_1435245_parameters():
    module, info = FILE.get_model(config(), {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_435_245
    assert info["input_names"] == ["jets"]
    assert info["input_shapes"] == {"jets": (-1, 4, 10)}


def test_three_labels_widen_the_last_layer_only():
    module, _ = FILE.get_model(config(("loose", "medium", "tight")), {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_435_245 + 2 * 51
    assert module(jets([2, 3], 4)).shape == (2, 3, 4)


def test_sizes_are_options():
    module, _ = FILE.get_model(config(), {"hidden": 16, "blocks": 1, "head": 8})
    assert [layer.out_features for layer in module.head if isinstance(layer, torch.nn.Linear)] == [
        8,
        1,
    ]
    assert len(module.graph.blocks) == 1


def test_features_of_a_hand_made_event():
    module = FILE.module
    event = torch.tensor(
        [[[50.0, 100.0, 0.0], [1.5, -0.75, 0.0], [0.1, 2 * math.pi - 0.1, 0.0], [5.0, 4.0, 0.0]]]
    )
    pt, eta, phi, flavour = module.jet_features(event)[0].tolist()
    assert pt[:2] == pytest.approx([math.log(0.5), 0])
    assert eta[:2] == pytest.approx([1, -0.5])
    assert phi[:2] == pytest.approx(
        [0.2 / 1.5, 0], abs=1e-6
    )  # 0.2 beyond the leading jet, across phi = 0
    assert flavour == [1, 0, -1]


def test_rotating_an_event_changes_nothing(network):
    event = jets([5, 2, 1, 3], 5)
    real = event[:, 0] > 0
    rotated = event.clone()
    rotated[:, 2] = torch.where(
        real, torch.remainder(event[:, 2] + 2.345, 2 * math.pi) - math.pi, 0.0
    )
    torch.testing.assert_close(network(rotated), network(event), atol=1e-5, rtol=0)


def test_the_order_of_jets_changes_nothing_and_padding_neither(network):
    event = jets([4, 3], 4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(network(event[:, :, order]), network(event)[:, :, order])
    padded = torch.cat((event, torch.zeros(2, 4, 3)), dim=2)
    torch.testing.assert_close(network(padded)[:, :, :4], network(event))
    assert network(padded)[:, :, 4:].abs().sum() == 0


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [1, 1], [0, 3]])
def test_events_with_no_jet_or_one_jet_are_finite_with_their_gradients(network, counts):
    output = network(jets(counts, 4))
    output.square().sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_a_jet_feels_its_neighbour(network):
    event = jets([2], 2)
    alone = event.clone()
    alone[:, :, 1] = 0
    assert (network(event) - network(alone))[0, 0, 0].abs() > 1e-4


def test_real_pairs_and_the_dense_form_agree_with_their_gradients(network):
    event = jets([4, 0, 1, 2, 5], 6)
    results = []
    for network.dense in (False, True):
        network.zero_grad()
        output = network(event)
        output.square().sum().backward()
        results.append([output, *(parameter.grad.clone() for parameter in network.parameters())])
    for real, dense in zip(*results, strict=True):
        torch.testing.assert_close(real, dense, atol=1e-6, rtol=1e-5)


def test_bf16_autocast_is_close_to_float32_and_trains(network):
    event = jets([4, 0, 1, 2, 5], 6)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(event)
    output.float().square().sum().backward()
    torch.testing.assert_close(output.float(), network(event), atol=0.02, rtol=0)
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_three_trainings_on_two_threads_end_with_the_same_bits(two_threads):
    event = jets(
        torch.randint(0, 9, (150,), generator=torch.Generator().manual_seed(1)).tolist(), 8
    )
    ends = []
    for _ in range(3):
        torch.manual_seed(0)
        module = FILE.get_model(config(), {"hidden": 32, "blocks": 2})[0]
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.softplus(module(event)).sum().backward()
            optimizer.step()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_onnx_runtime_gives_the_same_numbers_at_any_size(network, tmp_path):
    path = tmp_path / "network.onnx"
    axes = {"jets": {0: "N", 2: "P"}, "output": {0: "N", 2: "P"}}
    names = {"input_names": ["jets"], "output_names": ["output"], "dynamic_axes": axes}
    torch.onnx.export(
        network.eval(), (jets([3, 0, 1], 4),), str(path), dynamo=False, opset_version=17, **names
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for counts, slots in (([3, 0, 1], 4), ([2], 2), ([1, 0], 1), ([0], 3), ([10, 7, 0, 1, 2], 10)):
        event = jets(counts, slots, seed=slots)
        exported = torch.from_numpy(session.run(None, {"jets": event.numpy()})[0])
        torch.testing.assert_close(exported, network(event).detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variables": RAW[:3]}, "takes pt, eta, phi, flavour"),
        (
            {"variables": (Variable(name="jet_pt", center="auto"), *RAW[1:])},
            "raw values padded with 0; jet_pt is not",
        ),
        ({"pad_mode": "wrap"}, "pad_mode: wrap"),
    ],
)
def test_inputs_the_network_cannot_read_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        FILE.get_model(config(**changes), SMALL)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown key 'hiden'; did you mean 'hidden'"):
        FILE.get_model(config(), {"hiden": 16})
