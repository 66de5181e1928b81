"""Deep sets against their plain form, and the safety of the energy flow network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from weaver_tt.nn.models.particle_flow import EnergyFlowNetwork, ParticleFlowNetwork


class Plain(nn.Module):
    """The particle flow network as it is written for Weaver.

    Convolutions on padded tensors, features times mask before the sum.
    """

    def __init__(self, d_in, classes, phi, f, use_bn):
        super().__init__()

        def norm(size):
            return nn.BatchNorm1d(size) if use_bn else nn.Identity()

        self.input_bn = norm(d_in)
        widths = [d_in, *phi]
        self.phi = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(a, b, 1), norm(b), nn.ReLU())
                for a, b in zip(widths, phi, strict=False)
            )
        )
        widths = [phi[-1], *f]
        self.fc = nn.Sequential(
            *(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, f, strict=False)),
            nn.Linear(f[-1], classes),
        )

    def forward(self, features, mask):
        return self.fc((self.phi(self.input_bn(features)) * mask).sum(-1))


def masks(counts, slots):
    return (torch.arange(slots) < torch.tensor(counts)[:, None]).unsqueeze(1).float()


def networks(use_bn):
    torch.manual_seed(0)
    plain = Plain(4, 3, (8, 6), (7, 5), use_bn)
    for name, buffer in plain.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    ours = ParticleFlowNetwork(4, 3, (8, 6), (7, 5), use_bn)
    ours.load_state_dict(plain.state_dict())
    return ours, plain


@pytest.mark.parametrize("use_bn", [False, True])
@pytest.mark.parametrize("dense", [False, True])
def test_weights_of_the_plain_form_load_and_give_its_outputs_in_evaluation(use_bn, dense):
    ours, plain = networks(use_bn)
    ours.dense = dense
    features, mask = torch.randn(5, 4, 6), masks([6, 0, 1, 3, 5], 6)
    torch.testing.assert_close(
        ours.eval()(features, mask), plain.eval()(features, mask), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("use_bn", [False, True])
def test_on_full_rows_training_is_that_of_the_plain_form(use_bn):
    ours, plain = networks(use_bn)
    features, mask, gradients = torch.randn(5, 4, 6), torch.ones(5, 1, 6), []
    for network in (ours, plain):
        network(features, mask).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict())


@pytest.mark.parametrize("use_bn", [False, True])
def test_the_dense_form_trains_as_the_real_objects_alone_do(use_bn):
    ours, _ = networks(use_bn)
    features, mask, found = torch.randn(5, 4, 6), masks([6, 0, 1, 3, 5], 6), []
    start = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    for ours.dense in (False, True):
        ours.load_state_dict(start)
        ours.zero_grad()
        ours(features, mask).square().sum().backward()
        found.append(
            [
                *(parameter.grad for parameter in ours.parameters()),
                *(buffer.clone() for buffer in ours.buffers()),
            ]
        )
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_a_batch_norm_of_the_plain_form_counts_padding_and_ours_does_not():
    ours, plain = networks(use_bn=True)
    features, mask = torch.randn(2, 4, 6), masks([2, 1], 6)
    ours(features * mask, mask), plain(features * mask, mask)
    real = features.transpose(1, 2)[mask[:, 0] > 0]  # the 3 constituents
    start = networks(use_bn=True)[0].input_bn.running_mean
    torch.testing.assert_close(ours.input_bn.running_mean, 0.9 * start + 0.1 * real.mean(0))
    torch.testing.assert_close(
        plain.input_bn.running_mean, 0.9 * start + 0.1 * real.mean(0) * 3 / 12
    )


def jets(counts, slots, seed):
    random = torch.Generator().manual_seed(seed)
    angles = 0.4 * torch.randn(len(counts), 2, slots, generator=random)
    vectors = 50 * torch.randn(len(counts), 4, slots, generator=random)
    mask = masks(counts, slots)
    return angles * mask, vectors * mask, mask


@pytest.fixture(scope="module")
def safe():
    torch.manual_seed(0)
    return EnergyFlowNetwork(2, 3, (16, 12), (10,)).double().eval()


def append(tensor, column):
    return torch.cat((tensor, column.unsqueeze(2)), dim=2)


@settings(max_examples=30)
@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**20))
def test_a_constituent_without_momentum_changes_nothing_wherever_it_is(safe, counts, seed):
    angles, vectors, mask = (tensor.double() for tensor in jets(counts, 6, seed))
    rows = len(counts)
    anywhere = 3 * torch.randn(rows, 2, dtype=torch.float64)
    soft = (
        append(angles, anywhere),
        append(vectors, torch.zeros(rows, 4)),
        append(mask, torch.ones(rows, 1)),
    )
    torch.testing.assert_close(safe(*soft), safe(angles, vectors, mask), atol=1e-12, rtol=1e-12)


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    seed=st.integers(0, 2**20),
    share=st.floats(0, 1),
)
def test_splitting_a_constituent_collinearly_changes_nothing(safe, counts, seed, share):
    angles, vectors, mask = (tensor.double() for tensor in jets(counts, 6, seed))
    first = vectors[:, :, 0].clone()
    vectors_kept = vectors.clone()
    vectors_kept[:, :, 0] = share * first
    split = (
        append(angles, angles[:, :, 0]),
        append(vectors_kept, (1 - share) * first),
        append(mask, mask[:, :, 0]),
    )
    torch.testing.assert_close(safe(*split), safe(angles, vectors, mask), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dense", [False, True])
def test_the_unit_of_momentum_does_not_matter_and_the_momenta_do(safe, dense):
    angles, vectors, mask = (tensor.double() for tensor in jets([3, 5, 0], 6, 1))
    safe.dense = dense
    reference = safe(angles, vectors, mask)
    torch.testing.assert_close(safe(angles, 1000 * vectors, mask), reference)
    assert (safe(angles, vectors.flip(2) * mask, mask) - reference)[:2].abs().min() > 1e-4
    safe.dense = False


def test_the_energy_flow_sum_by_hand():
    """Two constituents of pT 3 and 1 at angles 1 and 2: Phi = ReLU(2 x - 1), F = 10 x."""
    network = EnergyFlowNetwork(1, 1, (1,), ())
    state = {
        "phi.0.0.weight": [[[2.0]]],
        "phi.0.0.bias": [-1.0],
        "fc.0.weight": [[10.0]],
        "fc.0.bias": [0.0],
    }
    network.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
    output = network(
        torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 0.0], [0.0, 1.0]]]), torch.ones(1, 1, 2)
    )
    assert output.item() == pytest.approx(10 * (3 / 4 * 1 + 1 / 4 * 3))


def test_three_backward_passes_on_two_threads_are_equal_bit_for_bit(two_threads):
    torch.manual_seed(0)
    network = ParticleFlowNetwork(4, 3, (32, 32), (16,), use_bn=True)
    features, mask = torch.randn(300, 4, 20), masks(torch.randint(0, 21, (300,)).tolist(), 20)
    gradients = []
    for _ in range(3):
        network.zero_grad()
        network(features, mask).square().sum().backward()
        gradients.append(
            torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        )
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("use_bn", [False, True])
def test_bf16_autocast_is_close_to_float32(use_bn):
    ours, _ = networks(use_bn)
    features, mask = torch.randn(5, 4, 6), masks([6, 0, 1, 3, 5], 6)
    with torch.autocast("cpu", torch.bfloat16):
        output = ours(features, mask).float()
    output.square().sum().backward()
    torch.testing.assert_close(output, ours(features, mask), atol=0.1, rtol=0.1)
