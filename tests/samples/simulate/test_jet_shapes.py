"""Fragmentation, width and multiplicity beside their definitions, jet by jet."""

import math

import numpy as np
import pytest

from weaver_tt.physics.angles import delta_phi
from weaver_tt.samples.simulate.jet_shapes import fragmentation, minor_axis, multiplicity


def brute_force(pt, eta, phi, jet_eta, jet_phi):
    """(pTD, sigma2, multiplicity) of one jet by loops and numpy's eigenvalues."""
    total = sum(pt)
    squares = sum(value**2 for value in pt)
    deta = [value - jet_eta for value in eta]
    dphi = []
    for value in phi:
        turned = value - jet_phi
        while turned > math.pi:
            turned -= 2 * math.pi
        while turned < -math.pi:
            turned += 2 * math.pi
        dphi.append(turned)
    covariance = np.cov(np.array([deta, dphi]), aweights=np.array(pt) ** 2, ddof=0)
    smaller = np.linalg.eigvalsh(np.atleast_2d(covariance))[0]
    return math.sqrt(squares) / total, math.sqrt(max(smaller, 0)), sum(value > 1 for value in pt)


def test_shapes_are_those_of_their_definitions():
    rng = np.random.default_rng(5)
    sizes = [1, 2, 3, 40, 7]
    axes = [(0.3, 3.1), (-2.0, -3.1), (0.0, 0.0), (1.0, 3.14), (4.0, 1.0)]
    jet, pt, eta, phi = [], [], [], []
    for number, (size, (jet_eta, jet_phi)) in enumerate(zip(sizes, axes, strict=True)):
        jet += [number] * size
        pt += list(rng.exponential(3, size))
        eta += list(jet_eta + rng.normal(0, 0.1, size))
        # some lie on the other side of phi = pi
        phi += list(delta_phi(jet_phi + rng.normal(0, 0.15, size), 0))
    jet, pt, eta, phi = map(np.array, (jet, pt, eta, phi))
    jet_eta, jet_phi = np.array(axes).T
    deta = eta - jet_eta[jet]
    dphi = delta_phi(phi, jet_phi[jet])
    found = np.column_stack(
        [
            fragmentation(jet, pt, 5),
            minor_axis(jet, pt, deta, dphi, 5),
            multiplicity(jet, pt, 5),
        ]
    )
    for number in range(5):
        mine = jet == number
        expected = brute_force(pt[mine], eta[mine], phi[mine], *axes[number])
        assert found[number] == pytest.approx(expected, abs=1e-7)
    assert (np.abs(phi[jet == 3] - 3.14) > 3).any()


def test_a_cross_of_equal_particles_by_hand():
    # four of 5 GeV at (+-0.2, 0) and (0, +-0.1): variances 0.02 and 0.005
    jet = np.zeros(4, int)
    pt = np.full(4, 5.0)
    deta = np.array([0.2, -0.2, 0.0, 0.0])
    dphi = np.array([0.0, 0.0, 0.1, -0.1])
    assert fragmentation(jet, pt, 1) == pytest.approx([0.5])  # sqrt(4 * 25) / 20
    assert minor_axis(jet, pt, deta, dphi, 1) == pytest.approx([0.005**0.5])


def test_a_jet_without_particles_has_zeros():
    nothing = np.empty(0)
    assert fragmentation(nothing.astype(int), nothing, 1).tolist() == [0]
    assert minor_axis(nothing.astype(int), nothing, nothing, nothing, 1).tolist() == [0]
    assert multiplicity(nothing.astype(int), nothing, 1).tolist() == [0]
