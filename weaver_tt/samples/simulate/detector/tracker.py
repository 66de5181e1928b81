"""The tracker: which charged particles have a track, and how well it is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import ELECTRON, MUON
from weaver_tt.samples.simulate.columnar import Columnar
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.samples.simulate.tracks import (
    D0_RESOLUTION,
    DZ_RESOLUTION,
    impact_parameters,
    resolution,
)

TRACKER_ETA = 2.5
SOFTEST_TRACK = 0.1  # GeV

# efficiency for |eta| below CENTRAL and beyond: of tracks below 1 GeV, and above.
# Hadrons above 1 GeV: CMS, arXiv:1405.6569, abstract; the rest: Delphes card for CMS
CENTRAL = 0.9
HADRON_EFFICIENCY = ((0.70, 0.94), (0.60, 0.85))
ELECTRON_EFFICIENCY = ((0.73, 0.95), (0.50, 0.83))
MUON_EFFICIENCY = ((0.75, 0.99), (0.70, 0.98))
SOFT = 1.0  # GeV

LARGEST_RADIUS = 600.0
"""mm: tracks that begin there or farther out are not found. CMS, arXiv:1706.04965."""

MERGING_DISTANCE = 0.025
"""In eta and phi: about 7 pixels of 0.15 mm at the first layer, at 44 mm; arXiv:1405.6569."""
MERGING_LOSS = 0.05
"""Share of tracks that is lost for each further particle so near. With it, cores of jets lose 3 %
of their tracks at 300 GeV and 12 % above 1 TeV; ATLAS measures 6 and 9 %: arXiv:1704.07983."""

# |eta| up to which numbers hold; relative resolution of pT: constant, and times pT in GeV.
# Delphes card for CMS, after CMS, arXiv:1405.6569
RESOLUTION_ETA = (0.5, 1.5)
HADRON_RESOLUTION = ((0.010, 1.5e-4), (0.015, 2.5e-4), (0.025, 5.5e-4))
MUON_RESOLUTION = ((0.010, 1.0e-4), (0.015, 1.5e-4), (0.025, 3.5e-4))
ELECTRON_RESOLUTION = ((0.030, 1.3e-3), (0.050, 1.7e-3), (0.150, 3.1e-3))

# mean radii in mm of the layers of the barrel: pixels, strips. CMS, arXiv:1405.6569
PIXEL_LAYERS = (44.0, 73.0, 102.0)
STRIP_LAYERS = (255.0, 339.0, 418.0, 498.0, 608.0, 692.0, 780.0, 868.0, 965.0, 1080.0)
HIT_EFFICIENCY = 0.99  # above 99 % there


@dataclass(slots=True, kw_only=True)
class Tracks(Columnar):
    """T tracks; GeV and mm."""

    particle: Integers  # (T,) places of their particles
    momentum: Floats  # (4, T) measured, with the mass of the particle neglected
    momentum_error: Floats  # (T,) of |p|
    dxy: Floats  # (T,)
    dxy_error: Floats
    dz: Floats
    dz_error: Floats
    hits: Integers
    pixel_hits: Integers
    lost_hits: Integers


def reconstruct_tracks(
    particles: FlyingParticles, sample: SampleSettings, rng: np.random.Generator
) -> Tracks:
    """The tracks of charged particles, as they are found and measured."""
    charged = np.flatnonzero(particles.charge != 0)
    pt, eta, phi = pt_eta_phi(*particles.momentum[:3, charged])
    is_found = np.ones(len(charged), bool)
    if sample.simulates("acceptance"):
        is_found &= (np.abs(eta) < TRACKER_ETA) & (pt > SOFTEST_TRACK)
    radius = np.hypot(*particles.vertex[:2, charged])
    efficiency = np.ones(len(charged))
    if sample.simulates("track-efficiency"):
        efficiency *= track_efficiency(particles.pid[charged], pt, eta)
        efficiency *= displaced_efficiency(radius)
    if sample.simulates("track-density"):
        near = particles_nearby(particles.event[charged], eta, phi)
        efficiency *= (1 - MERGING_LOSS) ** near
    is_found &= rng.random(len(charged)) < efficiency

    places = charged[is_found]
    return _measure(particles, places, pt[is_found], eta[is_found], sample, rng)


def track_efficiency(pid: Integers, pt: Floats, eta: Floats) -> Floats:
    """(M,) efficiency for particles from the beam, alone, by their kind, pT and eta."""
    region = (np.abs(eta) >= CENTRAL).astype(int)
    hardness = (pt > SOFT).astype(int)
    kind = np.abs(pid)
    efficiency = np.array(HADRON_EFFICIENCY)[region, hardness]
    electron = np.array(ELECTRON_EFFICIENCY)[region, hardness]
    muon = np.array(MUON_EFFICIENCY)[region, hardness]
    efficiency = np.where(kind == ELECTRON, electron, efficiency)
    return np.where(kind == MUON, muon, efficiency)


def displaced_efficiency(radius: Floats) -> Floats:
    """(M,) factor for particles made at ``radius`` mm from the beam: falls linearly to zero."""
    return np.clip(1 - radius / LARGEST_RADIUS, 0, 1)


def particles_nearby(event: Integers, eta: Floats, phi: Floats) -> Integers:
    """(M,) how many other charged particles of the event are in the same cell of 0.025 x 0.025."""
    rows = 2**12
    columns = 2**10
    row = np.floor(eta / MERGING_DISTANCE).astype(np.int64) % rows
    column = np.floor(phi / MERGING_DISTANCE).astype(np.int64) % columns
    cell = (event * rows + row) * columns + column
    _, which, number = np.unique(cell, return_inverse=True, return_counts=True)
    return number[which] - 1


def momentum_resolution(pid: Integers, pt: Floats, eta: Floats) -> Floats:
    """(M,) standard deviation of pT over pT."""
    region = np.searchsorted(RESOLUTION_ETA, np.abs(eta))
    kind = np.abs(pid)
    terms = np.array(HADRON_RESOLUTION)[region]
    terms = np.where((kind == ELECTRON)[:, None], np.array(ELECTRON_RESOLUTION)[region], terms)
    terms = np.where((kind == MUON)[:, None], np.array(MUON_RESOLUTION)[region], terms)
    return np.hypot(terms[:, 0], terms[:, 1] * pt)


def _measure(
    particles: FlyingParticles,
    places: Integers,
    pt: Floats,
    eta: Floats,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> Tracks:
    """Tracks of the particles at ``places``, with true ``pt`` and ``eta``."""
    momentum = particles.momentum[:, places]
    relative = momentum_resolution(particles.pid[places], pt, eta)
    pull = rng.standard_normal(len(places))
    if sample.simulates("track-resolution"):
        # the curvature is measured: 1 / pT is normal; no momentum more than doubles or halves
        factor = 1 / np.clip(1 + relative * pull, 0.5, 2)
    else:
        factor = np.ones(len(places))
    measured = momentum * factor
    dxy, dz = impact_parameters(momentum, particles.vertex[:, places])
    dxy_error = resolution(pt, D0_RESOLUTION)
    dz_error = resolution(pt, DZ_RESOLUTION)
    dxy_pull = rng.standard_normal(len(places))
    dz_pull = rng.standard_normal(len(places))
    if sample.simulates("impact-parameters"):
        dxy = dxy + dxy_error * dxy_pull
        dz = dz + dz_error * dz_pull
    radius = np.hypot(*particles.vertex[:2, places])
    pixel_hits, strip_hits, lost = count_hits(radius, rng)
    return Tracks(
        particle=places,
        momentum=measured,
        momentum_error=relative * np.sqrt((measured[:3] ** 2).sum(axis=0)),
        dxy=dxy,
        dxy_error=dxy_error,
        dz=dz,
        dz_error=dz_error,
        hits=pixel_hits + strip_hits,
        pixel_hits=pixel_hits,
        lost_hits=lost,
    )


def count_hits(radius: Floats, rng: np.random.Generator) -> tuple[Integers, Integers, Integers]:
    """Hits in pixels and in strips, and layers without a hit before the first one, (T,) each.

    ``radius`` is where the particle is made; it crosses the layers beyond.
    """
    layers = np.array(PIXEL_LAYERS + STRIP_LAYERS)
    is_hit = rng.random((len(radius), len(layers))) < HIT_EFFICIENCY
    is_hit &= layers > radius[:, None]
    pixels = is_hit[:, : len(PIXEL_LAYERS)].sum(axis=1)
    strips = is_hit[:, len(PIXEL_LAYERS) :].sum(axis=1)
    first = np.where(is_hit.any(axis=1), is_hit.argmax(axis=1), len(layers))
    return pixels, strips, first
