"""Our truth-tagging network: symmetries, sparse events, reproducibility, ONNX, learning."""

import ast
import math
from pathlib import Path

import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.network.file import NetworkFile

FILE = NetworkFile(Path(__file__).parents[2] / "network_configs" / "truth_tagging_edges.py")
SMALL = {"hidden": 12, "message": 4, "rounds": 2}


def config(*labels):
    values = {
        name: Expression(name, ast.parse(name, mode="eval").body, frozenset({name}))
        for name in labels
    }
    variables = tuple(
        Variable(name=name) for name in ("jet_pt", "jet_eta", "jet_phi", "jet_flavour")
    )
    group = InputGroup(name="jets", variables=variables, length=10)
    return DataConfig(
        source="truth.yaml",
        text="",
        inputs={"jets": group},
        labels=Labels(object_targets={"jets": values}),
    )


def jets(counts, slots, seed=0):
    """Random jets (N, 4, P) with ``counts`` of them in the rows."""
    uniform = torch.rand(len(counts), 4, slots, generator=torch.Generator().manual_seed(seed))
    flavour = torch.tensor([0.0, 4.0, 5.0])[(3 * uniform[:, 3]).long()]
    values = torch.stack(
        (20 + 300 * uniform[:, 0], 4 * uniform[:, 1] - 2, 2 * math.pi * uniform[:, 2], flavour),
        dim=1,
    )
    return values * (torch.arange(slots) < torch.tensor(counts).unsqueeze(1)).unsqueeze(1)


def build(labels=("jet_istag",), **options):
    """A network of random parameters, as after training: some of them start from 0."""
    torch.manual_seed(0)
    module, _ = FILE.get_model(config(*labels), SMALL | options)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def network():
    return build()


def test_the_default_network_is_small():
    module, info = FILE.get_model(config("jet_istag"), {})
    assert sum(parameter.numel() for parameter in module.parameters()) == 12_562
    assert info["input_names"] == ["jets"]


def test_each_label_has_its_own_efficiency():
    output = build(("loose", "tight"))(jets([2, 3], 4))
    assert output.shape == (2, 2, 4)
    assert (output[:, 0] - output[:, 1]).abs()[:, :2].min() > 1e-4


def test_features_of_hand_made_jets():
    columns = (
        torch.tensor([[value] for value in values])
        for values in ((200.0, 20.0, 0.0), (0.5, -1.0, 0.0), (5.0, -4.0, 21.0))
    )
    rows = FILE.module.jet_features(*columns)
    assert rows[0].tolist() == pytest.approx([0, 0, 1, 0.5, 0.5, 0.5])
    assert rows[1].tolist() == pytest.approx([0, 1, 0, math.log(0.1) + 0.5, -0.4, -1])
    assert rows[2].tolist() == pytest.approx(
        [1, 0, 0, math.log(0.005) + 0.5, -0.495, 0]
    )  # an empty slot is finite


@settings(max_examples=20, deadline=None)
@given(rotation=st.floats(-7, 7), turns=st.lists(st.integers(-2, 2), min_size=5, max_size=5))
def test_rotating_an_event_and_turning_jets_by_full_circles_changes_nothing(rotation, turns):
    network, event = build(), jets([5, 2, 1, 3], 5)
    moved = event.clone()
    moved[:, 2] += (rotation + 2 * math.pi * torch.tensor(turns)) * (event[:, 0] > 0)
    torch.testing.assert_close(network(moved), network(event), atol=1e-4, rtol=0)


def test_a_mirror_image_in_phi_has_the_same_efficiencies_and_one_in_eta_need_not(network):
    event = jets([5, 2, 1, 3], 5)
    mirror = torch.tensor([1.0, 1.0, -1.0, 1.0]).view(1, 4, 1)
    torch.testing.assert_close(network(event * mirror), network(event))
    assert (network(event * mirror.roll(-1, dims=1)) - network(event)).abs().max() > 1e-2


def test_neighbours_across_the_seam_of_phi_are_as_close_as_elsewhere(network):
    event = torch.tensor([[[100.0, 50.0], [0.0, 0.2], [math.pi - 0.1, -math.pi + 0.1], [5.0, 4.0]]])
    elsewhere = event.clone()
    elsewhere[0, 2] = torch.tensor([1.0, 1.2])
    torch.testing.assert_close(network(event), network(elsewhere), atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("dense", [False, True])
def test_identical_jets_have_finite_gradients_also_to_the_inputs(network, dense):
    network.dense = dense
    event = jets([1, 1], 3).repeat_interleave(2, dim=2)[:, :, [0, 1, 2]].requires_grad_()
    network(event).square().sum().backward()
    assert torch.isfinite(event.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_a_far_jet_of_another_event_is_not_felt_and_a_neighbour_is(network):
    event = jets([2, 3], 3)
    changed = event.clone()
    changed[1] = jets([3, 3], 3, seed=1)[1]
    torch.testing.assert_close(network(changed)[0], network(event)[0])
    alone = event.clone()
    alone[0, :, 1] = 0
    assert (network(alone) - network(event))[0, 0, 0].abs() > 1e-2


def test_real_pairs_and_the_dense_form_agree_with_their_gradients(network):
    event = jets([4, 0, 1, 2, 5], 6)
    results = []
    for network.dense in (False, True):
        network.zero_grad()
        output = network(event)
        output.square().mean().backward()
        results.append([output, *(parameter.grad.clone() for parameter in network.parameters())])
    for real, dense in zip(*results, strict=True):
        torch.testing.assert_close(real, dense, atol=1e-5, rtol=1e-4)


def test_bf16_autocast_gives_float32_logits_close_to_those_without_it(network):
    event = jets([4, 0, 1, 2, 5], 6)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(event)
    output.square().sum().backward()
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, network(event), atol=0.05, rtol=0.05)


def test_only_pairs_are_computed_in_bf16(network):
    lonely = jets([1, 1, 1], 1)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(lonely)
    assert torch.equal(output, network(lonely))


def test_three_trainings_on_two_threads_end_with_the_same_bits(two_threads):
    event = jets(
        torch.randint(0, 9, (100,), generator=torch.Generator().manual_seed(1)).tolist(), 8
    )
    ends = []
    for _ in range(3):
        module = build(hidden=48, rounds=1)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.softplus(module(event)).sum().backward()
            optimizer.step()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_it_learns_that_a_near_neighbour_halves_the_efficiency():
    random = torch.Generator().manual_seed(0)
    event = jets([2] * 1000, 2)
    event[:, 2] *= 0.5
    apart = math.pi * torch.rand(1000, generator=random)
    event[:, 1], event[:, 2, 1] = 0.0, event[:, 2, 0] + apart
    wanted = torch.where(apart < 1.0, 0.4, 0.8)
    torch.manual_seed(0)
    module, _ = FILE.get_model(config("jet_istag"), {"hidden": 16})
    optimizer = torch.optim.Adam(module.parameters(), lr=2e-2)
    for _ in range(100):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(
            module(event)[:, 0], wanted.unsqueeze(1).expand(-1, 2)
        ).backward()
        optimizer.step()
    efficiency = torch.sigmoid(module(event)[:, 0, 0]).detach()
    assert efficiency[apart < 0.7].mean().item() == pytest.approx(0.4, abs=0.03)
    assert efficiency[apart > 1.3].mean().item() == pytest.approx(0.8, abs=0.03)


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
        torch.testing.assert_close(
            torch.sigmoid(exported), torch.sigmoid(network(event).detach()), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("option", ["hidden", "layers", "rounds", "message", "sharpness"])
def test_an_option_below_one_is_refused_by_name(option):
    with pytest.raises(ConfigError, match=f"option {option} must be at least 1, got 0"):
        FILE.get_model(config("jet_istag"), {option: 0})
