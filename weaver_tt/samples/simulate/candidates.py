"""What jets are reconstructed from: candidates for particles, and secondary vertices.

Without a detector the candidates are the visible particles themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.four_momentum import pt_eta_phi, transverse_momentum
from weaver_tt.physics.particles import CHARGED_PION, ELECTRON, K_LONG, MUON, PHOTON
from weaver_tt.samples.simulate.columnar import Columnar
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles
from weaver_tt.samples.simulate.jets import visible_places
from weaver_tt.samples.simulate.sums import sum_by_group
from weaver_tt.samples.simulate.tracks import impact_parameters

# how a track fits to the primary vertex, as CMS numbers it: on it, displaced from it, elsewhere
FITTED = 7
DISPLACED = 4
OTHER = 1
RHO_ETA = 5.0
RHO_CELLS = (18, 11)  # in eta and phi: 0.556 x 0.571


@dataclass(slots=True, kw_only=True)
class Candidates(Columnar):
    """M candidates, sorted by event, highest pT first; GeV and mm.

    Values of tracks are 0 for neutral candidates, and ``hcal_fraction`` is 0 for charged ones.
    """

    event: Integers  # (M,)
    momentum: Floats  # (4, M): px, py, pz, E
    pid: Integers  # (M,) 11, 13, 211 with the sign of the charge; 22, 130; 1, 2 in the forward part
    dxy: Floats  # (M,) transverse impact parameter to the primary vertex
    dxy_error: Floats  # (M,); 0 where it is exact
    dz: Floats  # (M,) longitudinal one
    hits: Integers  # (M,) of the track
    pixel_hits: Integers  # (M,)
    lost_hits: Integers  # (M,) inner layers crossed without a hit
    vertex_quality: Integers  # (M,) how well it fits to the primary vertex
    hcal_fraction: Floats  # (M,) share of the energy in the hadronic part of the calorimeter

    @property
    def is_charged(self) -> np.ndarray:
        """(M,) whether it is a track."""
        return np.isin(np.abs(self.pid), (ELECTRON, MUON, CHARGED_PION))

    def hardest_first(self) -> Candidates:
        """Sorted by event and descending pT."""
        pt = transverse_momentum(self.momentum[0], self.momentum[1])
        return self[np.lexsort((-pt, self.event))]


@dataclass(slots=True, kw_only=True)
class SecondaryVertices(Columnar):
    """V reconstructed vertices away from the primary one, sorted by event; GeV and mm."""

    event: Integers  # (V,)
    momentum: Floats  # (4, V): sum of the tracks
    distance: Floats  # (V,) from the primary vertex, in space
    distance_error: Floats  # (V,)
    tracks: Integers  # (V,) number of tracks


@dataclass(slots=True, kw_only=True)
class ReconstructedEvents:
    """What is known of E events after reconstruction."""

    candidates: Candidates
    vertices: SecondaryVertices
    rho: Floats  # (E,) median pT density, GeV
    primary_vertices: Integers  # (E,) number of good ones
    pileup: Integers  # (E,) true number of further collisions


def exact_events(particles: Particles) -> ReconstructedEvents:
    """Events as a perfect detector sees them: each visible particle, no secondary vertices."""
    visible = visible_places(particles, np.inf)
    charge = particles.charge[visible]
    charged = charge != 0
    pid = candidate_pid(particles.pid[visible], charge)
    momentum = particles.momentum[:, visible]
    dxy, dz = impact_parameters(momentum, particles.vertex[:, visible])
    nothing = np.zeros(len(visible), np.int64)
    events = len(particles.counts)
    candidates = Candidates(
        event=particles.event[visible],
        momentum=momentum,
        pid=pid,
        dxy=np.where(charged, dxy, 0),
        dxy_error=np.zeros(len(visible)),
        dz=np.where(charged, dz, 0),
        hits=nothing,
        pixel_hits=nothing,
        lost_hits=nothing,
        vertex_quality=np.where(charged, FITTED, 0),
        hcal_fraction=(pid == K_LONG).astype(np.float64),
    )
    return ReconstructedEvents(
        candidates=candidates,
        vertices=no_vertices(),
        rho=energy_density(candidates, events),
        primary_vertices=np.ones(events, np.int64),
        pileup=np.zeros(events, np.int64),
    )


def candidate_pid(pid: Integers, charge: Floats) -> Integers:
    """The number a perfect identification gives: leptons, photon, else charged or neutral hadron.

    A positive number is a positive charge for hadrons and a negative one for leptons, as in the
    numbers of the Particle Data Group.
    """
    kind = np.abs(pid)
    hadron = np.where(charge != 0, CHARGED_PION * np.sign(charge), K_LONG)
    is_known = np.isin(kind, (ELECTRON, MUON, PHOTON))
    return np.where(is_known, pid, hadron).astype(np.int64)


def no_vertices() -> SecondaryVertices:
    """An empty collection."""
    return SecondaryVertices(
        event=np.empty(0, np.int64),
        momentum=np.empty((4, 0)),
        distance=np.empty(0),
        distance_error=np.empty(0),
        tracks=np.empty(0, np.int64),
    )


def energy_density(candidates: Candidates, events: int) -> Floats:
    """(E,) rho: the median over cells of |eta| < 5 of their pT an area, GeV.

    Source: CMS, arXiv:1607.03663 (cells of about 0.55 x 0.55).
    """
    pt, eta, phi = pt_eta_phi(*candidates.momentum[:3])
    inside = np.abs(eta) < RHO_ETA
    row = ((eta[inside] + RHO_ETA) / (2 * RHO_ETA) * RHO_CELLS[0]).astype(np.int64)
    column = ((phi[inside] + np.pi) / (2 * np.pi) * RHO_CELLS[1]).astype(np.int64)
    # an azimuth of exactly pi
    column = np.minimum(column, RHO_CELLS[1] - 1)
    cells = RHO_CELLS[0] * RHO_CELLS[1]
    place = candidates.event[inside] * cells + row * RHO_CELLS[1] + column
    sums = sum_by_group(place, pt[inside], events * cells).reshape(events, cells)
    area = 2 * RHO_ETA * 2 * np.pi / cells
    return np.median(sums, axis=1) / area
