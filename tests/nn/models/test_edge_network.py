"""Pair geometry, sums over neighbours, and the link from sums of terms to logits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_tt.nn.models.edge_network import (
    GEOMETRY,
    EdgeNetwork,
    NeighbourSum,
    logit_of_product,
    pair_geometry,
)
from weaver_tt.nn.objects.pairwise import DensePairs, RealPairs

ANGLE = st.floats(-10, 10, allow_nan=False, width=32)


def event(eta, phi):
    """One row of jets: (objects, 1) each, and its pairs."""
    return (
        torch.tensor(eta).unsqueeze(1),
        torch.tensor(phi).unsqueeze(1),
        RealPairs(torch.ones(1, len(eta), dtype=torch.bool)),
    )


def efficiency(terms, sharpness):
    return torch.sigmoid(logit_of_product(torch.as_tensor(terms), sharpness))


def test_geometry_of_two_jets_across_the_seam_of_phi():
    rows = pair_geometry(*event([0.1, 0.4], [3.0, -2.9]))
    d_phi = 2 * math.pi - 5.9
    distance = math.hypot(0.3, d_phi)
    assert rows[0].tolist() == pytest.approx([-0.3, d_phi, distance, math.log(distance)], abs=1e-5)
    assert rows[1].tolist() == pytest.approx([0.3, d_phi, distance, math.log(distance)], abs=1e-5)


@settings(deadline=None)
@given(
    eta=st.tuples(ANGLE, ANGLE),
    phi=st.tuples(ANGLE, ANGLE),
    turns=st.integers(-3, 3),
    rotation=ANGLE,
    shift=ANGLE,
)
def test_geometry_knows_only_differences_and_the_period_of_phi(eta, phi, turns, rotation, shift):
    before = pair_geometry(*event([*eta], [*phi]))
    after = pair_geometry(
        *event(
            [value + shift for value in eta],
            [phi[0] + rotation + turns * 2 * math.pi, phi[1] + rotation],
        )
    )
    torch.testing.assert_close(after[:, :3], before[:, :3], atol=3e-5, rtol=0)


def test_identical_directions_have_finite_geometry_and_gradient():
    eta, phi, pairs = event([0.5, 0.5], [1.0, 1.0])
    eta.requires_grad_()
    geometry = pair_geometry(eta, phi, pairs)
    geometry.sum().backward()
    assert geometry[0].tolist() == pytest.approx([0, 0, 1e-3, math.log(1e-3)])
    assert eta.grad.abs().max() == 0


def test_a_neighbour_sum_is_the_sum_of_the_mlp_over_concatenated_pairs():
    torch.manual_seed(0)
    block, mask = NeighbourSum(3, 5), torch.tensor([[True, True, True], [True, False, False]])
    objects, eta, phi = torch.randn(4, 3), torch.randn(4, 1), torch.randn(4, 1)
    pairs = RealPairs(mask)
    geometry = pair_geometry(eta, phi, pairs)
    expected = torch.zeros(4, 5)
    for edge, (i, j) in enumerate(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)):
        joined = torch.cat((objects[i], objects[j], geometry[edge]))
        expected[i] += block.rest(
            torch.nn.functional.linear(joined, block.first.weight, block.first.bias)
        )
    torch.testing.assert_close(block(objects, geometry, pairs), expected)
    assert expected[3].tolist() == [0] * 5  # alone in its row


@pytest.mark.parametrize("rounds", [1, 3])
def test_real_and_dense_form_of_the_network_agree(rounds):
    torch.manual_seed(0)
    network = EdgeNetwork(3, 2, hidden=8, rounds=rounds, message=4)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # pair terms and correction start from 0
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    padded = torch.randn(3, 5, 3)
    results = []
    for form in (RealPairs(mask), DensePairs(mask)):
        eta, phi, objects = form.gather(padded).split((1, 1, 3), dim=-1)
        results.append(form.scatter(network(objects, pair_geometry(eta, phi, form), form)))
    assert results[0].shape == (3, 2, 3)
    torch.testing.assert_close(*results)


def test_an_untrained_network_ignores_neighbours():
    network = EdgeNetwork(2, 1, hidden=8)
    objects = torch.randn(2, 2)
    near = network(objects, torch.zeros(2, GEOMETRY), RealPairs(torch.tensor([[True, True]])))
    alone = network(objects, torch.zeros(0, GEOMETRY), RealPairs(torch.tensor([[True], [True]])))
    assert torch.equal(near, alone)


def test_sharpness_one_is_the_plain_logit():
    terms = torch.linspace(-12, 20, 50)
    torch.testing.assert_close(logit_of_product(terms, 1.0), terms, atol=1e-4, rtol=1e-5)


def test_terms_multiply_where_efficiencies_are_small():
    base, factor = math.log(0.2), math.log(0.65)
    assert efficiency([base + factor], 4.0).item() == pytest.approx(0.2 * 0.65, rel=1e-3)


@settings(deadline=None)
@given(term=st.floats(-30, 30, width=32), sharpness=st.floats(1, 20, width=32))
def test_the_efficiency_is_the_bent_exponential(term, sharpness):
    wanted = (
        math.exp(-math.log1p(math.exp(-min(sharpness * term, 600))) / sharpness)
        if sharpness * term > -600
        else math.exp(term)
    )
    assert efficiency([float(term)], sharpness).item() == pytest.approx(wanted, rel=2e-5)


@settings(deadline=None)
@given(sharpness=st.floats(1, 20, width=32))
def test_the_logit_rises_with_a_finite_gradient_at_any_term(sharpness):
    terms = (
        torch.cat((torch.tensor([-1e4, 0.0, 1e4]), torch.linspace(-20, 20, 200)))
        .sort()
        .values.requires_grad_()
    )
    logits = logit_of_product(terms, sharpness)
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert (logits.diff() > 0).all()
    assert ((terms.grad > 0.9) & (terms.grad < 1.1 * sharpness)).all()
