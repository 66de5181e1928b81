"""From particles to candidates: the detector, step by step."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.particles import CHARGED_PION, MUON
from weaver_tt.samples.simulate.candidates import (
    Candidates,
    ReconstructedEvents,
    energy_density,
)
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.calorimeter import deposit_energy
from weaver_tt.samples.simulate.detector.conversions import convert_photons
from weaver_tt.samples.simulate.detector.decays import PION_MASS, decay_in_flight
from weaver_tt.samples.simulate.detector.particle_flow import Flow, particle_flow
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.detector.primary_vertices import (
    Collisions,
    belongs_to_pileup,
    found_vertices,
    vertex_quality,
)
from weaver_tt.samples.simulate.detector.propagation import FIELD, positions_at_calorimeter
from weaver_tt.samples.simulate.detector.secondary_vertices import secondary_vertices
from weaver_tt.samples.simulate.detector.tracker import Tracks, reconstruct_tracks
from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.processes import SampleSettings

MUON_MASS = 0.10566  # GeV


def reconstruct(
    particles: FlyingParticles,
    collisions: Collisions,
    events: int,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> ReconstructedEvents:
    """What the detector makes of the particles of ``events`` events."""
    if sample.simulates("decays"):
        particles = decay_in_flight(particles, rng)
    if sample.simulates("conversions"):
        particles = convert_photons(particles, rng)
    field = FIELD if sample.simulates("field") else 0.0
    positions, is_reached = positions_at_calorimeter(
        particles.momentum, particles.vertex, particles.charge, field
    )
    tracks = reconstruct_tracks(particles, sample, rng)
    deposits = deposit_energy(particles, positions, is_reached, sample, rng)
    flow = particle_flow(particles, tracks, deposits, sample, rng)

    event = particles.event[tracks.particle]
    charged = charged_candidates(event, tracks, flow)
    neutral = neutral_candidates(flow)
    # tracks of other collisions are known by their vertices
    is_found = found_vertices(collisions, event, particles.collision[tracks.particle])
    vertices = collisions[is_found]
    is_kept = np.ones(len(tracks), bool)
    if sample.simulates("chs"):
        is_kept = ~belongs_to_pileup(event, tracks, vertices)
    secondary = secondary_vertices(
        event[is_kept],
        particles.vertex[:, tracks.particle[is_kept]],
        tracks[is_kept],
        charged.momentum[:, is_kept],
        sample,
        rng,
    )
    candidates = joined(charged[is_kept], neutral).hardest_first()
    return ReconstructedEvents(
        candidates=candidates,
        vertices=secondary,
        # of what is left: the density that is subtracted from jets
        rho=energy_density(candidates, events),
        primary_vertices=1 + np.bincount(vertices.event, minlength=events),
        pileup=np.bincount(collisions.event, minlength=events),
    )


def charged_candidates(event: Integers, tracks: Tracks, flow: Flow) -> Candidates:
    """Tracks (T,) as candidates."""
    return Candidates(
        event=event,
        momentum=with_energy(flow.momentum, flow.pid),
        pid=flow.pid,
        dxy=tracks.dxy,
        dxy_error=tracks.dxy_error,
        dz=tracks.dz,
        hits=tracks.hits,
        pixel_hits=tracks.pixel_hits,
        lost_hits=tracks.lost_hits,
        vertex_quality=vertex_quality(tracks),
        hcal_fraction=np.zeros(len(tracks)),
    )


def with_energy(momentum: Floats, pid: Integers) -> Floats:
    """(4, T) momenta (3, T) with the energy of their kind: pions, unless they are leptons."""
    kind = np.abs(pid)
    mass = np.where(kind == CHARGED_PION, PION_MASS, 0)
    mass = np.where(kind == MUON, MUON_MASS, mass)
    energy = np.sqrt((momentum**2).sum(axis=0) + mass**2)
    return np.concatenate([momentum, energy[None]])


def neutral_candidates(flow: Flow) -> Candidates:
    """Energies without tracks as candidates."""
    neutral = flow.neutral
    nothing = np.zeros(len(neutral.event))
    none = np.zeros(len(neutral.event), np.int64)
    return Candidates(
        event=neutral.event,
        momentum=neutral.momentum,
        pid=neutral.pid,
        dxy=nothing,
        dxy_error=nothing,
        dz=nothing,
        hits=none,
        pixel_hits=none,
        lost_hits=none,
        vertex_quality=none,
        hcal_fraction=neutral.hcal_fraction,
    )
