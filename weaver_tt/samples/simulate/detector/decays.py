"""Decays in the detector of particles that the generator leaves stable: K0S and Lambda."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.four_momentum import invariant_mass
from weaver_tt.physics.particles import PHOTON
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.detector.propagation import CALORIMETER_LENGTH, CALORIMETER_RADIUS
from weaver_tt.samples.simulate.generator import Floats, Integers

NEUTRAL_PION = 111
PION_MASS = 0.13957  # GeV; masses and lifetimes: Particle Data Group, PRD 110, 030001
NEUTRAL_PION_MASS = 0.13498
PROTON_MASS = 0.93827
NEUTRON_MASS = 0.93957


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """A particle, c tau in mm, and its two pairs of daughters: charged, and neutral.

    Daughters are (PDG number, charge, mass in GeV).
    """

    pid: int
    lifetime: float
    charged_share: float
    charged: tuple[tuple[int, int, float], tuple[int, int, float]]
    neutral: tuple[tuple[int, int, float], tuple[int, int, float]]


K_SHORT = Decay(
    pid=310,
    lifetime=26.84,
    charged_share=0.692,
    charged=((211, 1, PION_MASS), (-211, -1, PION_MASS)),
    neutral=((NEUTRAL_PION, 0, NEUTRAL_PION_MASS), (NEUTRAL_PION, 0, NEUTRAL_PION_MASS)),
)
LAMBDA = Decay(
    pid=3122,
    lifetime=78.9,
    charged_share=0.641,
    charged=((2212, 1, PROTON_MASS), (-211, -1, PION_MASS)),
    neutral=((2112, 0, NEUTRON_MASS), (NEUTRAL_PION, 0, NEUTRAL_PION_MASS)),
)


def decay_in_flight(particles: FlyingParticles, rng: np.random.Generator) -> FlyingParticles:
    """The particles, with K0S and Lambda that decay before the calorimeter replaced.

    Daughters leave the place of the decay; neutral pions among them are two photons.
    """
    stays = np.ones(len(particles), bool)
    daughters = []
    for decay in (K_SHORT, LAMBDA):
        places = np.flatnonzero(np.abs(particles.pid) == decay.pid)
        vertex = decay_vertices(particles[places], decay.lifetime, rng)
        is_inside = np.hypot(vertex[0], vertex[1]) < CALORIMETER_RADIUS
        is_inside &= np.abs(vertex[2]) < CALORIMETER_LENGTH
        places = places[is_inside]
        stays[places] = False
        mothers = particles[places]
        mothers.vertex = vertex[:, is_inside]
        is_charged = rng.random(len(mothers)) < decay.charged_share
        daughters += _daughters(mothers[is_charged], decay.charged, rng)
        daughters += _daughters(mothers[~is_charged], decay.neutral, rng)
    products = joined(*daughters)
    is_pion = products.pid == NEUTRAL_PION
    photon = (PHOTON, 0, 0.0)
    photons = _daughters(products[is_pion], (photon, photon), rng)
    return joined(particles[stays], products[~is_pion], *photons)


def decay_vertices(particles: FlyingParticles, lifetime: float, rng: np.random.Generator) -> Floats:
    """(3, M) where particles decay: exponential in proper time, ``lifetime`` c tau in mm."""
    mass = invariant_mass(*particles.momentum)
    proper = rng.exponential(lifetime, len(particles))
    return particles.vertex + particles.momentum[:3] / mass * proper


def two_body_decay(
    momentum: Floats, masses: tuple[float, float], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Momenta (4, M) of two daughters of particles of ``momentum`` (4, M); isotropic at rest."""
    mass = invariant_mass(*momentum)
    one, two = masses
    energy_at_rest = (mass**2 + one**2 - two**2) / (2 * mass)
    # rounding may leave a light particle below the sum of the masses
    size = np.sqrt(np.maximum(energy_at_rest**2 - one**2, 0))
    cosine = rng.uniform(-1, 1, len(mass))
    sine = np.sqrt(1 - cosine**2)
    azimuth = rng.uniform(0, 2 * np.pi, len(mass))
    at_rest = size * np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])
    # to the laboratory
    along = (momentum[:3] * at_rest).sum(axis=0)
    energy = (momentum[3] * energy_at_rest + along) / mass
    boost = along / (mass * (momentum[3] + mass)) + energy_at_rest / mass
    first = np.concatenate([at_rest + momentum[:3] * boost, energy[None]])
    return first, momentum - first


def _daughters(
    mothers: FlyingParticles,
    kinds: tuple[tuple[int, int, float], tuple[int, int, float]],
    rng: np.random.Generator,
) -> list[FlyingParticles]:
    """Two collections: of the first and of the second daughters."""
    masses = (kinds[0][2], kinds[1][2])
    momenta = two_body_decay(mothers.momentum, masses, rng)
    # those of an antiparticle are antiparticles
    sign = np.sign(mothers.pid)
    sign = np.where(mothers.pid == K_SHORT.pid, 1, sign)
    daughters = []
    for (pid, charge, _), momentum in zip(kinds, momenta, strict=True):
        daughters.append(
            FlyingParticles(
                event=mothers.event,
                collision=mothers.collision,
                pid=_with_sign(pid, sign),
                charge=charge * sign.astype(np.float64),
                momentum=momentum,
                vertex=mothers.vertex,
            )
        )
    return daughters


def _with_sign(pid: int, sign: Integers) -> Integers:
    """PDG numbers, those of antiparticles where ``sign`` is negative; pi0 and photon are both."""
    is_own_antiparticle = pid in (NEUTRAL_PION, PHOTON)
    return np.full(len(sign), pid) if is_own_antiparticle else pid * sign
