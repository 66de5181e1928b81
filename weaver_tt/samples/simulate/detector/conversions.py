"""Photons that convert to electron pairs in the material of the tracker."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.four_momentum import pseudorapidity, transverse_momentum
from weaver_tt.physics.particles import ELECTRON, PHOTON
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.detector.propagation import CALORIMETER_LENGTH
from weaver_tt.samples.simulate.generator import Floats

# material between the beam and the calorimeter in radiation lengths, at these |eta|;
# CMS, arXiv:1405.6569
MATERIAL_ETA = (0.0, 1.4, 2.5)
MATERIAL = (0.4, 1.8, 1.3)
INNERMOST = 44.0  # mm: first layer of the tracker (as there)
OUTERMOST = 1080.0  # its last layer


def conversion_probability(eta: Floats) -> Floats:
    """1 - exp(-7/9 X / X0) of photons of high energy, (M,).

    Source: Y.-S. Tsai, Rev. Mod. Phys. 46 (1974) 815.
    """
    thickness = np.interp(np.abs(eta), MATERIAL_ETA, MATERIAL, right=0.0)
    return 1 - np.exp(-7 / 9 * thickness)


def convert_photons(particles: FlyingParticles, rng: np.random.Generator) -> FlyingParticles:
    """The particles, with photons that convert replaced by two electrons.

    At radii that are uniform over the tracker; the energy is shared uniformly.
    """
    photons = np.flatnonzero(particles.pid == PHOTON)
    momentum = particles.momentum[:, photons]
    pt = transverse_momentum(momentum[0], momentum[1])
    probability = conversion_probability(pseudorapidity(pt, momentum[2]))
    radius = rng.uniform(INNERMOST, OUTERMOST, len(photons))
    vertex = particles.vertex[:, photons] + momentum[:3] / pt * radius
    converts = rng.random(len(photons)) < probability
    # not behind the tracker, where decays in flight may have made the photon
    converts &= np.hypot(vertex[0], vertex[1]) < OUTERMOST
    converts &= np.abs(vertex[2]) < CALORIMETER_LENGTH
    share = rng.random(len(photons))

    stays = np.ones(len(particles), bool)
    stays[photons[converts]] = False
    pairs = particles[photons[converts]]
    pairs.vertex = vertex[:, converts]
    share = share[converts]
    one = _electrons(pairs, -1, share)
    two = _electrons(pairs, 1, 1 - share)
    return joined(particles[stays], one, two)


def _electrons(photons: FlyingParticles, charge: int, share: Floats) -> FlyingParticles:
    """Electrons of a charge with a share (M,) of the momentum of photons; massless."""
    number = len(photons)
    return FlyingParticles(
        event=photons.event,
        collision=photons.collision,
        pid=np.full(number, -charge * ELECTRON),
        charge=np.full(number, float(charge)),
        momentum=photons.momentum * share,
        vertex=photons.vertex,
    )
