"""Catchment areas of anti-kT jets."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.angles import delta_phi, delta_r
from weaver_tt.samples.simulate.generator import Floats
from weaver_tt.samples.simulate.jets import ClusteredJets
from weaver_tt.samples.simulate.matching import pairs_by_event

POINTS_A_RADIUS = 20


def jet_areas(jets: ClusteredJets, others: ClusteredJets, radius: float) -> Floats:
    """(J,) areas of jets: where infinitely soft particles join them.

    ``others`` are all jets of the events, these included.

    Anti-kT gives a soft particle to the jet for which (distance / pT) is the smallest, among those
    nearer than ``radius``: alone a jet has pi R^2, and beside a harder one it lacks a part of that.
    Points of a grid stand for the particles.

    Source: Cacciari, Salam, Soyez, arXiv:0802.1188 and arXiv:0802.1189.
    """
    steps = (np.arange(-POINTS_A_RADIUS, POINTS_A_RADIUS) + 0.5) / POINTS_A_RADIUS * radius
    eta, phi = (values.ravel() for values in np.meshgrid(steps, steps))
    in_circle = np.hypot(eta, phi) < radius
    eta = eta[in_circle]  # (G,)
    phi = phi[in_circle]
    own_distance = np.hypot(eta, phi)

    jet, other = pairs_by_event(jets.event, others.event)
    distance = delta_r(jets.eta[jet], jets.phi[jet], others.eta[other], others.phi[other])
    # at a distance of 0 it is the jet itself
    overlaps = (distance < 2 * radius) & (distance > 0)
    jet = jet[overlaps]
    other = other[overlaps]
    # where the points lie as seen from the other jet: (P, G)
    eta_from_other = (jets.eta[jet] - others.eta[other])[:, None] + eta
    phi_from_other = delta_phi(jets.phi[jet], others.phi[other])[:, None] + phi
    other_distance = np.hypot(eta_from_other, phi_from_other)
    pt_ratio = (others.pt[other] / jets.pt[jet])[:, None]
    is_others = (other_distance < radius) & (other_distance < own_distance * pt_ratio)
    is_lost = np.zeros((len(jets), len(eta)), bool)
    np.logical_or.at(is_lost, jet, is_others)
    return np.pi * radius**2 * (1 - is_lost.mean(axis=1))
