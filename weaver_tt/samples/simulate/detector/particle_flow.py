"""Particle flow: tracks and cells of the calorimeter become candidates for particles.

Charged hadrons are measured by their tracks. What a tower holds beyond the expectation for its
tracks, by more than the resolution, is a photon, and a neutral hadron where it is more than the
electromagnetic energy. Less than the resolution is taken for a fluctuation: neutral particles are
lost in it, and fluctuations beyond it are taken for neutral particles. That is the confusion.

Source: CMS, arXiv:1706.04965.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.four_momentum import pt_eta_phi, px_py_pz, transverse_momentum
from weaver_tt.physics.particles import CHARGED_PION, ELECTRON, K_LONG, MUON, PHOTON
from weaver_tt.samples.simulate.columnar import Columnar, joined
from weaver_tt.samples.simulate.detector.calorimeter import (
    BARREL_ROW_END,
    CELLS,
    PHOTON_RESOLUTION,
    TOWER_ETA,
    TOWERS,
    Deposits,
    is_forward_tower,
    mean_response,
    quadratic_sum,
    row_of,
)
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.detector.tracker import TRACKER_ETA, Tracks
from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.samples.simulate.sums import sum_by_group

EXPECTED_RESOLUTION = (1.10, 0.0, 0.09)
"""Of charged hadrons in the calorimeters: terms as there. CMS, arXiv:1706.04965."""
SIGNIFICANT = 2.0
"""Expected standard deviations beyond which an excess over tracks is neutral energy: for CMS 1;
with 2 the response of light quarks and gluons differs by 1 % at all pT."""

# smallest energies in GeV: in the crystals of barrel and endcap, in the towers of both.
# CMS, arXiv:1706.04965
CRYSTAL_THRESHOLDS = (0.23, 0.60)
TOWER_THRESHOLDS = (0.8, 1.1)
# in the forward calorimeter: electromagnetic, hadronic. CMS, towers of its first years
FORWARD_THRESHOLDS = (1.2, 1.8)

# forward candidates, as CMS numbers them
FORWARD_HADRONIC = 1
FORWARD_ELECTROMAGNETIC = 2

# a lepton with a track is identified: share, and pT in GeV from which on.
# Muons: Delphes card for CMS; electrons: CMS, arXiv:1502.02701
MUON_IDENTIFICATION = (0.95, 3.0)
ELECTRON_IDENTIFICATION = (0.70, 2.0)

TOWER_SPREAD = 0.025
"""Standard deviation in eta and phi of neutral hadrons: that of a tower of 0.087."""

LARGEST_CHANGE = (0.5, 2.0)  # of the momentum of a track, by the calorimeter
SMALLEST_ENERGY = 1e-6  # GeV, of a candidate, and to divide by


@dataclass(slots=True, kw_only=True)
class NeutralCandidates(Columnar):
    """N neutral candidates."""

    event: Integers  # (N,)
    pid: Integers  # (N,)
    momentum: Floats  # (4, N), massless
    hcal_fraction: Floats  # (N,)


@dataclass(slots=True, kw_only=True)
class Flow:
    """Result of particle flow for T tracks: their momenta and kinds, and what is neutral."""

    momentum: Floats  # (3, T)
    pid: Integers  # (T,)
    neutral: NeutralCandidates


@dataclass(slots=True, kw_only=True)
class Blocks:
    """B towers with energy or tracks, and the C electromagnetic cells in them.

    The hadronic energy of a tower is not resolved further.
    """

    event: Integers  # (B,)
    tower: Integers  # (B,)
    hadronic: Floats  # (B,)
    hadronic_direction: Floats  # (3, B) sum of directions, each times its energy
    of_particle: Integers  # (M,) the tower that a particle is in
    cell_of_particle: Integers  # (M,)
    cell_tower: Integers  # (C,) the tower of a cell
    electromagnetic: Floats  # (C,)
    direction: Floats  # (3, C) sum of directions, each times its energy

    def __len__(self) -> int:
        return len(self.event)


def particle_flow(
    particles: FlyingParticles,
    tracks: Tracks,
    deposits: Deposits,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> Flow:
    """Candidates from the tracks and the deposits of particles."""
    places = tracks.particle
    pid = identify(particles[places], tracks.momentum, sample, rng)
    is_hadron = np.abs(pid) == CHARGED_PION
    momentum = electron_momentum(tracks, pid, deposits)
    # the deposits of identified leptons are theirs
    is_known = ~is_hadron
    if not sample.simulates("confusion"):
        is_known[:] = True
    electromagnetic = deposits.electromagnetic.copy()
    hadronic = deposits.hadronic.copy()
    electromagnetic[places[is_known]] = 0
    hadronic[places[is_known]] = 0
    blocks = find_blocks(particles.event, deposits, electromagnetic, hadronic, sample)
    # a track that curls up in the field has left nothing to subtract
    is_linked = ~is_known & deposits.is_reached[places]

    linked = np.flatnonzero(is_linked)
    block = blocks.of_particle[places[linked]]
    error = tracks.momentum_error[linked]
    expectation = expect_deposits(momentum[:, linked], error, block, blocks, sample)
    has_track = np.zeros(len(blocks.electromagnetic), bool)
    has_track[blocks.cell_of_particle[places[linked]]] = True
    neutral, factor = share_energy(blocks, has_track, expectation, sample, rng)
    # where tracks explain the energy, both measurements of it are combined
    size = np.sqrt((momentum[:, linked] ** 2).sum(axis=0))
    change = factor[block] * error**2 / size
    momentum[:, linked] *= np.clip(1 + change, *LARGEST_CHANGE)
    return Flow(momentum=momentum, pid=pid, neutral=neutral)


def identify(
    particles: FlyingParticles, momentum: Floats, sample: SampleSettings, rng: np.random.Generator
) -> Integers:
    """(T,) kinds of particles with tracks: leptons that are identified, else charged hadrons.

    ``momentum`` (4, T) is that of their tracks.
    """
    kind = np.abs(particles.pid)
    pt = transverse_momentum(momentum[0], momentum[1])
    chance = rng.random(len(kind))
    is_lepton = np.zeros(len(kind), bool)
    for lepton, (share, softest) in (
        (MUON, MUON_IDENTIFICATION),
        (ELECTRON, ELECTRON_IDENTIFICATION),
    ):
        is_found = np.ones(len(kind), bool)
        if sample.simulates("lepton-id"):
            is_found = (chance < share) & (pt > softest)
        is_lepton |= (kind == lepton) & is_found
    hadron = CHARGED_PION * np.sign(particles.charge).astype(np.int64)
    return np.where(is_lepton, particles.pid, hadron)


def electron_momentum(tracks: Tracks, pid: Integers, deposits: Deposits) -> Floats:
    """(3, T) momenta of tracks; those of electrons are combined with their deposits.

    With weights of 1 / variance.
    """
    momentum = tracks.momentum[:3].copy()
    energy = deposits.electromagnetic[tracks.particle]
    combined = np.flatnonzero((np.abs(pid) == ELECTRON) & (energy > 0))
    energy = energy[combined]
    size = np.sqrt((momentum[:, combined] ** 2).sum(axis=0))
    of_track = 1 / tracks.momentum_error[combined] ** 2
    of_deposit = 1 / (quadratic_sum(energy, PHOTON_RESOLUTION) * energy) ** 2
    best = (size * of_track + energy * of_deposit) / (of_track + of_deposit)
    momentum[:, combined] *= best / size
    return momentum


def find_blocks(
    event: Integers,
    deposits: Deposits,
    electromagnetic: Floats,
    hadronic: Floats,
    sample: SampleSettings,
) -> Blocks:
    """Energies (M,) of particles summed in towers and cells of their ``event`` (M,)."""
    if sample.simulates("granularity"):
        # particles that miss the calorimeter are in tower -1, with nothing
        tower_key = event * (TOWERS + 1) + deposits.tower
        cell_key = event * (TOWERS * CELLS + CELLS) + deposits.cell
    else:
        tower_key = cell_key = np.arange(len(event))
    _, first, of_particle = np.unique(tower_key, return_index=True, return_inverse=True)
    _, first_of_cell, cell_of_particle = np.unique(cell_key, return_index=True, return_inverse=True)

    def sums(group: Integers, energy: Floats, groups: int) -> tuple[Floats, Floats]:
        total = sum_by_group(group, energy, groups)
        direction = [sum_by_group(group, energy * axis, groups) for axis in deposits.direction]
        return total, np.stack(direction)

    hadronic_sum, hadronic_direction = sums(of_particle, hadronic, len(first))
    cell_sum, cell_direction = sums(cell_of_particle, electromagnetic, len(first_of_cell))
    return Blocks(
        event=event[first],
        tower=deposits.tower[first],
        hadronic=hadronic_sum,
        hadronic_direction=hadronic_direction,
        of_particle=of_particle,
        cell_of_particle=cell_of_particle,
        cell_tower=of_particle[first_of_cell],
        electromagnetic=cell_sum,
        direction=cell_direction,
    )


@dataclass(slots=True, kw_only=True)
class Expectation:
    """What the tracks of B towers lead one to expect there; GeV."""

    tracks: Integers  # (B,) how many there are
    energy: Floats  # (B,) mean of what they deposit
    response: Floats  # (B,) the same over the sum of their momenta
    spread: Floats  # (B,) standard deviation of the momenta from both measurements


def expect_deposits(
    momentum: Floats, error: Floats, block: Integers, blocks: Blocks, sample: SampleSettings
) -> Expectation:
    """Of hadrons with ``momentum`` (3, L) and its ``error`` (L,), by their ``block`` (L,)."""
    number = len(blocks)
    size = np.sqrt((momentum**2).sum(axis=0))
    response = mean_response(size, is_forward_tower(blocks.tower[block]), sample)
    total = sum_by_group(block, size, number)
    energy = sum_by_group(block, size * response, number)
    of_calorimeter = total * quadratic_sum(np.maximum(total, SMALLEST_ENERGY), EXPECTED_RESOLUTION)
    return Expectation(
        tracks=np.bincount(block, minlength=number),
        energy=energy,
        response=energy / np.maximum(total, SMALLEST_ENERGY),
        spread=np.sqrt(of_calorimeter**2 + sum_by_group(block, error**2, number)),
    )


def share_energy(
    blocks: Blocks,
    has_track: np.ndarray,
    expectation: Expectation,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> tuple[NeutralCandidates, Floats]:
    """Neutral candidates, and what tracks of each tower are to be changed by: (B,).

    ``has_track`` (C,) are cells that a track points to. A track changes by its variance times that
    number.
    """
    crystal_minimum, tower_minimum = thresholds(blocks.tower, sample)
    tracked = expectation.tracks > 0
    is_bound = has_track | is_before_hadron(blocks, tracked, tower_minimum)
    bound, bound_direction = bound_energy(blocks, is_bound)

    # towers with tracks: what they do not explain; the others: all of it
    excess = blocks.hadronic + bound - expectation.energy
    is_excess = tracked & (excess > SIGNIFICANT * expectation.response * expectation.spread)
    photon = np.where(is_excess, np.minimum(excess, bound), 0)
    hadron = np.where(is_excess, excess - photon, 0)
    hadron = np.where(tracked, hadron, blocks.hadronic + bound)
    hadron_direction = blocks.hadronic_direction + np.where(tracked, 0, 1) * bound_direction
    total = np.maximum(blocks.hadronic + bound, SMALLEST_ENERGY)
    hadronic_share = np.where(tracked, 1.0, blocks.hadronic / total)

    is_forward = is_forward_tower(blocks.tower)
    neutral = joined(
        free_photons(blocks, is_bound, crystal_minimum),
        neutral_candidates(
            photon > crystal_minimum, blocks.event, PHOTON, photon, bound_direction, 0.0
        ),
        neutral_candidates(
            hadron > tower_minimum,
            blocks.event,
            np.where(is_forward, FORWARD_HADRONIC, K_LONG),
            hadron,
            spread_directions(hadron_direction, sample, rng),
            hadronic_share,
        ),
    )
    # the excess in terms of momenta, over the variances of both measurements
    pull = excess / np.maximum(expectation.response * expectation.spread**2, SMALLEST_ENERGY)
    return neutral, np.where(tracked & ~is_excess, pull, 0)


def is_before_hadron(blocks: Blocks, tracked: np.ndarray, tower_minimum: Floats) -> np.ndarray:
    """(C,) whether a cell belongs to the hadron behind it: beyond the tracker, if there is one."""
    is_beyond = TOWER_ETA[row_of(blocks.tower)] >= TRACKER_ETA
    is_beyond &= ~is_forward_tower(blocks.tower)
    has_hadron = is_beyond & ~tracked & (blocks.hadronic > tower_minimum)
    return has_hadron[blocks.cell_tower]


def bound_energy(blocks: Blocks, is_bound: np.ndarray) -> tuple[Floats, Floats]:
    """Energies (B,) and directions (3, B) of the cells of each tower that belong to it."""
    number = len(blocks)
    energy = sum_by_group(blocks.cell_tower, is_bound * blocks.electromagnetic, number)
    direction = [
        sum_by_group(blocks.cell_tower, is_bound * axis, number) for axis in blocks.direction
    ]
    return energy, np.stack(direction)


def free_photons(
    blocks: Blocks, is_bound: np.ndarray, crystal_minimum: Floats
) -> NeutralCandidates:
    """A candidate for each cell that belongs to nothing else."""
    energy = np.where(is_bound, 0, blocks.electromagnetic)
    is_forward = is_forward_tower(blocks.tower)[blocks.cell_tower]
    return neutral_candidates(
        energy > crystal_minimum[blocks.cell_tower],
        blocks.event[blocks.cell_tower],
        np.where(is_forward, FORWARD_ELECTROMAGNETIC, PHOTON),
        energy,
        blocks.direction,
        0.0,
    )


def neutral_candidates(
    is_seen: np.ndarray,
    event: Integers,
    pid: Integers | int,
    energy: Floats,
    direction: Floats,
    hcal_fraction: Floats | float,
) -> NeutralCandidates:
    """The candidates of N places with energy that are seen; ``direction`` (3, N) has any length."""
    direction = direction[:, is_seen]
    energy = energy[is_seen]
    unit = direction / np.sqrt((direction**2).sum(axis=0))
    return NeutralCandidates(
        event=event[is_seen],
        pid=np.broadcast_to(pid, len(is_seen))[is_seen],
        momentum=np.concatenate([unit * energy, energy[None]]),
        hcal_fraction=np.broadcast_to(hcal_fraction, len(is_seen))[is_seen],
    )


def thresholds(tower: Integers, sample: SampleSettings) -> tuple[Floats, Floats]:
    """(B,) smallest electromagnetic and hadronic energies of candidates in towers, GeV."""
    if not sample.simulates("thresholds"):
        # more than what rounding leaves
        least = np.full(len(tower), SMALLEST_ENERGY)
        return least, least
    row = row_of(tower)
    is_endcap = (row >= BARREL_ROW_END).astype(int)
    is_forward = is_forward_tower(tower)
    crystal = np.where(is_forward, FORWARD_THRESHOLDS[0], np.array(CRYSTAL_THRESHOLDS)[is_endcap])
    hadronic = np.where(is_forward, FORWARD_THRESHOLDS[1], np.array(TOWER_THRESHOLDS)[is_endcap])
    return crystal, hadronic


def spread_directions(
    direction: Floats, sample: SampleSettings, rng: np.random.Generator
) -> Floats:
    """Directions (3, B) as towers measure them."""
    pt, eta, phi = pt_eta_phi(*direction)
    shift = rng.normal(0, TOWER_SPREAD, (2, len(pt)))
    if not sample.simulates("granularity"):
        return direction
    return np.stack(px_py_pz(pt, eta + shift[0], phi + shift[1]))
