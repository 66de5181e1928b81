"""Products of four-vectors, worked out by hand."""

import math

import torch

from weaver_tt.nn.layers.minkowski import (
    in_units,
    mean_of_channels,
    product,
    scale,
    signed_log,
    square,
    to_light_cone,
)


def channels(*vectors):
    """Vectors px, py, pz, E as channels of one tensor (4 V,)."""
    return to_light_cone(torch.tensor(vectors, dtype=torch.float64)).T.flatten()


def test_products_are_of_each_channel():
    """(1, 2, 3, 10) . (4, 5, 6, 20) = 200 - 4 - 10 - 18 = 168, and (0, 0, 1, 1)^2 = 0."""
    first = channels((1, 2, 3, 10), (0, 0, 1, 1))
    second = channels((4, 5, 6, 20), (0, 0, 1, 1))
    assert product(first, second).tolist() == [168, 0]


def test_squares_are_below_0_for_spacelike_vectors():
    """(3, 4, 12, 13)^2 = 169 - 169, (1, 0, 0, 3)^2 = 8, (0, 2, 0, 1)^2 = -3."""
    assert square(channels((3, 4, 12, 13), (1, 0, 0, 3), (0, 2, 0, 1))).tolist() == [0, 8, -3]


def test_channels_are_scaled_made_and_averaged_each_for_itself():
    vectors = channels((1, 2, 3, 4), (5, 6, 7, 8))
    factors = torch.tensor([10.0, 2.0], dtype=torch.float64)
    expected = channels((10, 20, 30, 40), (10, 12, 14, 16))
    assert scale(vectors, factors).tolist() == expected.tolist()
    momentum = channels((1, 2, 3, 4))
    expected = channels((10, 20, 30, 40), (2, 4, 6, 8))
    assert in_units(momentum, factors).tolist() == expected.tolist()
    assert mean_of_channels(vectors).tolist() == channels((3, 4, 5, 6)).tolist()


def test_the_logarithm_keeps_the_sign_and_has_a_gradient_everywhere():
    values = torch.tensor([-(math.e**2) + 1, 0.0, math.e - 1, 1e30], requires_grad=True)
    logs = signed_log(values)
    torch.testing.assert_close(logs, torch.tensor([-2.0, 0.0, 1.0, 30 * math.log(10)]))
    logs.sum().backward()
    assert torch.isfinite(values.grad).all()


def test_near_the_beam_single_precision_is_enough():
    """Two massless particles of pT 50 GeV, 0.01 apart in phi, at eta 6 and 0: 2500 (1 - cos 0.01).

    That is 0.125 GeV^2; at eta 6 energies are 10 TeV, whose squares have steps of 8 GeV^2.
    """
    for eta in (0.0, 6.0):
        pz, energy = 50 * math.sinh(eta), 50 * math.cosh(eta)
        # as sums, which have the exact E - pz, would give it
        minus = 50 * math.exp(-eta)
        one = torch.tensor([50.0, 0, energy + pz, minus])
        other = torch.tensor([50 * math.cos(0.01), 50 * math.sin(0.01), energy + pz, minus])
        assert abs(product(one, other).item() - 2500 * (1 - math.cos(0.01))) < 5e-4
