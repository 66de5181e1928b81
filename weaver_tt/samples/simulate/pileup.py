"""Further collisions of the same bunch crossing: pile-up from a pool of soft events."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.particles import FlyingParticles, flying_particles
from weaver_tt.samples.simulate.detector.primary_vertices import Collisions
from weaver_tt.samples.simulate.generator import (
    PYTHIA_SEEDS,
    Floats,
    Integers,
    flatten_record,
    pythia_with,
)
from weaver_tt.samples.simulate.matching import expand_ranges
from weaver_tt.samples.simulate.processes import SampleSettings

# diffractive collisions add little, and take seconds to prepare
SETTINGS = ("SoftQCD:nonDiffractive = on",)
BLOCKS_A_POOL = 32  # blocks of events that draw from one pool; then another is made
POOL_ETA = 5.5  # of particles that may be seen

BEAM_SPREAD = 53.0
"""mm: standard deviation of the places of collisions along the beam. Delphes card for CMS with
pile-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Soft events, one after another."""

    particles: FlyingParticles
    first: Integers  # (S,) where an event begins
    counts: Integers  # (S,) how many particles it has


def pool_of_block(sample: SampleSettings, block: int) -> Pool:
    """The soft events that the pile-up of a block is drawn from.

    Neighbouring blocks share a pool: it is made once in a process.
    """
    return make_pool(sample.seed, block // BLOCKS_A_POOL, sample.energy, sample.pool)


@lru_cache(maxsize=1)
def make_pool(seed: int, number: int, energy: float, size: int) -> Pool:
    """Pool ``number`` of a seed: ``size`` soft events of protons at ``energy`` GeV."""
    # apart from the numbers that a block is made with: (seed, block)
    sequence = np.random.SeedSequence([seed, number, size])
    pythia_seed = int(sequence.generate_state(1)[0]) % PYTHIA_SEEDS + 1
    pythia = pythia_with(SETTINGS, energy, pythia_seed, "pile-up")
    particles = flying_particles(
        flatten_record(pythia.nextBatch(size, "skip"), pythia.particleData)
    )
    _, eta, _ = pt_eta_phi(*particles.momentum[:3])
    particles = particles[np.abs(eta) < POOL_ETA]
    counts = np.bincount(particles.event, minlength=size)
    return Pool(particles=particles, first=np.cumsum(counts) - counts, counts=counts)


def add_pileup(
    particles: FlyingParticles, events: int, pool: Pool, mean: float, rng: np.random.Generator
) -> tuple[FlyingParticles, Collisions]:
    """The particles of ``events`` events with those of further collisions, and where these are.

    Their number in an event is a Poisson number of this mean. Each is an event of the pool, turned
    about the beam, half of them mirrored, and moved along the beam; the hard collision stays at 0.
    """
    number = rng.poisson(mean, events)
    event, within = expand_ranges(np.zeros(events, np.int64), number)
    chosen = rng.integers(len(pool.first), size=len(event))
    turn = rng.uniform(0, 2 * np.pi, len(event))
    mirror = rng.choice([-1.0, 1.0], len(event))
    # relative to the hard one, which is spread as they are
    z = rng.normal(0, np.sqrt(2) * BEAM_SPREAD, len(event))
    collisions = Collisions(event=event, number=within + 1, z=z)

    collision, place = expand_ranges(pool.first[chosen], pool.counts[chosen])
    soft = pool.particles[place]
    moved = turned(soft, turn[collision], mirror[collision])
    moved.event = event[collision]
    moved.collision = collisions.number[collision]
    moved.vertex[2] += z[collision]
    return joined(particles, moved), collisions


def turned(particles: FlyingParticles, turn: Floats, mirror: Floats) -> FlyingParticles:
    """Particles turned about the beam by angles (M,), and mirrored along it where -1."""
    cosine = np.cos(turn)
    sine = np.sin(turn)

    def moved(x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        return cosine * x - sine * y, sine * x + cosine * y, mirror * z

    return FlyingParticles(
        event=particles.event,
        collision=particles.collision,
        pid=particles.pid,
        charge=particles.charge,
        momentum=np.stack([*moved(*particles.momentum[:3]), particles.momentum[3]]),
        vertex=np.stack(moved(*particles.vertex)),
    )
