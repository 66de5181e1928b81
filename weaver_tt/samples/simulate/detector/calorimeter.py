"""The calorimeters: what showers deposit in which cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.samples.simulate.detector.particles import FlyingParticles
from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.processes import SampleSettings

# edges of towers in |eta|: barrel, endcap, forward. CMS, arXiv:0911.4991, and the Delphes card
_BARREL = [0.087 * number for number in range(21)]  # to 1.74
_ENDCAP = [1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 3.0]
_FORWARD = [3.139, 3.314, 3.489, 3.664, 3.839, 4.013, 4.191, 4.363, 4.538, 4.716, 4.889, 5.191]
TOWER_ETA = np.array([*_BARREL, *_ENDCAP, *_FORWARD])
FORWARD_ROW = len(_BARREL) + len(_ENDCAP) - 1  # rows of towers from here on are forward
BARREL_ROW_END = len(_BARREL) - 1
COARSE_ROW = FORWARD_ROW + len(_FORWARD) - 2  # the last two have towers of 20 degrees
MOST_COLUMNS = 72  # towers of 5 degrees in the barrel, 10 beyond

CELLS_A_TOWER = 2
"""Electromagnetic cells along eta in a tower: 2.5 crystals of 0.0174, about the 3 x 3 that hold a
shower. CMS, arXiv:1306.2016."""
CELLS = CELLS_A_TOWER * CELLS_A_TOWER * 4  # numbers of cells kept for a tower, the widest have all
TOWERS = 2 * (len(TOWER_ETA) - 1) * MOST_COLUMNS  # numbers of towers

# relative resolutions: stochastic term in sqrt(GeV), noise in GeV, constant
# CMS, arXiv:1706.04965
PHOTON_RESOLUTION = (0.028, 0.12, 0.003)
# crystals and towers together, in beams: CMS, Eur. Phys. J. C 60 (2009) 359
HADRON_RESOLUTION = (0.847, 0.0, 0.074)
# CMS, Eur. Phys. J. C 53 (2008) 139
FORWARD_PHOTON_RESOLUTION = (1.98, 0.0, 0.09)
FORWARD_HADRON_RESOLUTION = (2.80, 0.0, 0.11)

# e/h of the crystals, of the towers behind them and of the forward calorimeter; electrons set the
# scale of all three. CMS NOTE 2007/012 and Eur. Phys. J. C 53 (2008) 139
CRYSTAL_ELECTRON_TO_HADRON = 2.5
TOWER_ELECTRON_TO_HADRON = 1.4
FORWARD_ELECTRON_TO_HADRON = 5.0
CASCADE_POWER = 0.82
"""k: the hadronic part of a shower is E^(k-1) of it. Gabriel et al., NIM A 338 (1994) 336."""

CRYSTAL_DEPTH = 1.1  # interaction lengths of the crystals; CMS, arXiv:1706.04965
SHOWER_LENGTH = 0.9
"""Interaction lengths over which a shower falls to 1/e: with it, crystals hold a third of the
energy of pions, as in the test beam (CMS NOTE 2007/012)."""


def _mean_crystal_share() -> float:
    """The mean of ``crystal_share``: the integral over depths up to that of the crystals."""
    slope = 1 - 1 / SHOWER_LENGTH
    begun = 1 - np.exp(-CRYSTAL_DEPTH)
    behind = np.exp(-CRYSTAL_DEPTH / SHOWER_LENGTH) * (1 - np.exp(-CRYSTAL_DEPTH * slope)) / slope
    return float(begun - behind)


MEAN_CRYSTAL_SHARE = _mean_crystal_share()

# share of a hadronic shower in the towers next to its own, how many these are, and the energy in
# GeV that each needs to be read out (CMS, arXiv:1706.04965)
NEIGHBOUR_SHARE = 0.25
NEIGHBOURS = 3
READ_OUT_THRESHOLD = 0.8

# energy in GeV that a minimum ionizing particle leaves: crystals, and brass and scintillator
MIP_ENERGY = (0.25, 2.0)


@dataclass(slots=True, kw_only=True)
class Deposits:
    """Energies of M particles in the calorimeters, GeV, and where they are."""

    electromagnetic: Floats  # (M,) in crystals, or in the long fibers of the forward part
    hadronic: Floats  # (M,) behind them
    tower: Integers  # (M,) number of the tower, -1 outside
    cell: Integers  # (M,) number of the electromagnetic cell
    direction: Floats  # (3, M) unit vectors from the primary vertex
    is_reached: np.ndarray  # (M,) whether the particle meets the calorimeter


def tower_of(eta: Floats, phi: Floats) -> tuple[Integers, Integers]:
    """Numbers of the tower and of the cell in it at a direction, (M,) each; -1 outside.

    Towers are counted by the side, the row in |eta| and the column in phi; cells by their tower.
    """
    size = np.abs(eta)
    row = np.searchsorted(TOWER_ETA, size, side="right") - 1
    is_inside = row < len(TOWER_ETA) - 1
    row = np.where(is_inside, row, 0)
    columns = np.where(row < BARREL_ROW_END, MOST_COLUMNS, MOST_COLUMNS // 2)
    columns = np.where(row >= COARSE_ROW, MOST_COLUMNS // 4, columns)
    turn = (phi / (2 * np.pi)) % 1 * columns
    # a rounded turn of exactly one
    column = np.minimum(turn.astype(np.int64), columns - 1)
    side = (eta < 0).astype(np.int64)
    tower = (side * (len(TOWER_ETA) - 1) + row) * MOST_COLUMNS + column

    low = TOWER_ETA[row]
    high = TOWER_ETA[row + 1]
    along_eta = ((size - low) / (high - low) * CELLS_A_TOWER).astype(np.int64)
    # cells are as wide everywhere, except that the forward part has one in each tower
    cells = CELLS_A_TOWER * MOST_COLUMNS // columns
    along_phi = ((turn - column) * cells).astype(np.int64)
    cell = tower * CELLS + along_eta * (CELLS // CELLS_A_TOWER) + along_phi
    cell = np.where(row >= FORWARD_ROW, tower * CELLS, cell)
    return np.where(is_inside, tower, -1), np.where(is_inside, cell, -1)


def is_forward_tower(tower: Integers) -> np.ndarray:
    """Whether towers belong to the forward calorimeter."""
    return row_of(tower) >= FORWARD_ROW


def row_of(tower: Integers) -> Integers:
    """The row in |eta| of towers."""
    return tower // MOST_COLUMNS % (len(TOWER_ETA) - 1)


def deposit_energy(
    particles: FlyingParticles,
    positions: Floats,
    is_reached: np.ndarray,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> Deposits:
    """What the showers of M particles leave where they meet the calorimeter.

    ``positions`` (3, M) in mm; those that are not ``is_reached`` leave nothing.
    """
    distance = np.sqrt((positions**2).sum(axis=0))
    direction = positions / distance
    _, eta, phi = pt_eta_phi(*direction)
    tower, cell = tower_of(eta, phi)
    # what hadrons deposit is nearer to their momentum than to their energy: of a neutron the mass
    # remains, of an antineutron twice that is set free
    energy = np.sqrt((particles.momentum[:3] ** 2).sum(axis=0))
    is_forward = is_forward_tower(tower)
    is_photon_like = particles.is_electromagnetic
    share = np.where(is_photon_like, 1.0, crystal_share(len(particles), rng))
    seen = np.where(is_reached & (tower >= 0), energy, 0)
    if sample.simulates("energy-resolution"):
        spread = shower_resolution(energy, is_photon_like, is_forward)
        seen = seen * fluctuation(spread, rng)
    electromagnetic = seen * share
    hadronic = seen - electromagnetic
    hadronic = hadronic * read_out_share(hadronic, is_forward, sample)
    of_crystals, of_towers = hadron_responses(energy, is_forward, sample)
    electromagnetic = electromagnetic * np.where(is_photon_like, 1.0, of_crystals)
    hadronic = hadronic * of_towers
    is_minimal = particles.is_muon & (seen > 0) & ~is_forward
    return Deposits(
        electromagnetic=np.where(particles.is_muon, is_minimal * MIP_ENERGY[0], electromagnetic),
        hadronic=np.where(particles.is_muon, is_minimal * MIP_ENERGY[1], hadronic),
        tower=tower,
        cell=cell,
        direction=direction,
        is_reached=is_reached & (tower >= 0),
    )


def hadron_responses(
    energy: Floats, is_forward: np.ndarray, sample: SampleSettings
) -> tuple[Floats, Floats]:
    """(M,) mean energy seen of hadronic showers over their energy: in crystals, and behind them.

    The hadronic part of a shower, E^(k-1) of it, counts less than the electromagnetic one, and
    electrons set the scale: nothing is corrected for it, neither here nor later.

    Source: R. Wigmans, Calorimetry (2017); Gabriel et al., NIM A 338 (1994) 336.
    """
    if not sample.simulates("response"):
        return np.ones(len(energy)), np.ones(len(energy))
    crystals = relative_response(energy, CRYSTAL_ELECTRON_TO_HADRON)
    towers = relative_response(energy, TOWER_ELECTRON_TO_HADRON)
    forward = relative_response(energy, FORWARD_ELECTRON_TO_HADRON)
    return np.where(is_forward, forward, crystals), np.where(is_forward, forward, towers)


def mean_response(energy: Floats, is_forward: np.ndarray, sample: SampleSettings) -> Floats:
    """(M,) mean energy seen of hadrons over their energy, over all depths of their showers."""
    crystals, towers = hadron_responses(energy, is_forward, sample)
    of_towers = 1 - MEAN_CRYSTAL_SHARE
    read_out = read_out_share(energy * of_towers, is_forward, sample)
    return MEAN_CRYSTAL_SHARE * crystals + of_towers * read_out * towers


def read_out_share(energy: Floats, is_forward: np.ndarray, sample: SampleSettings) -> Floats:
    """(M,) share of hadronic energies in GeV that is read out.

    Part of a shower is in the neighbours of its tower, and lost where that is too little for each.
    """
    if not sample.simulates("thresholds"):
        return np.ones(len(energy))
    in_neighbour = NEIGHBOUR_SHARE * energy / NEIGHBOURS
    is_lost = (in_neighbour < READ_OUT_THRESHOLD) & ~is_forward
    return np.where(is_lost, 1 - NEIGHBOUR_SHARE, 1.0)


def relative_response(energy: Floats, electron_to_hadron: float) -> Floats:
    """Response to hadrons over that to electrons; below 1 GeV that at 1 GeV."""
    hadronic = np.maximum(energy, 1.0) ** (CASCADE_POWER - 1)
    return 1 - (1 - 1 / electron_to_hadron) * hadronic


def shower_resolution(energy: Floats, is_photon_like: np.ndarray, is_forward: np.ndarray) -> Floats:
    """(M,) relative standard deviation of the energy seen of showers."""
    terms = np.where(
        is_forward[:, None],
        np.where(is_photon_like[:, None], FORWARD_PHOTON_RESOLUTION, FORWARD_HADRON_RESOLUTION),
        np.where(is_photon_like[:, None], PHOTON_RESOLUTION, HADRON_RESOLUTION),
    )
    return quadratic_sum(energy, terms.T)


def quadratic_sum(energy: Floats, terms: Floats | tuple[float, float, float]) -> Floats:
    """sqrt(a^2 / E + b^2 / E^2 + c^2) of (a, b, c)."""
    stochastic, noise, constant = terms
    return np.sqrt(stochastic**2 / energy + (noise / energy) ** 2 + constant**2)


def fluctuation(spread: Floats, rng: np.random.Generator) -> Floats:
    """(M,) positive random numbers of mean 1 and standard deviation ``spread``: gamma."""
    variance = np.maximum(spread, 1e-6) ** 2
    return rng.standard_gamma(1 / variance) * variance


def crystal_share(number: int, rng: np.random.Generator) -> Floats:
    """(number,) share of hadronic showers that the crystals hold.

    A shower begins at an exponential depth, falls to 1/e over ``SHOWER_LENGTH``, and goes on behind
    the crystals; a third of them begin there.
    """
    depth = rng.standard_exponential(number)
    return np.maximum(1 - np.exp((depth - CRYSTAL_DEPTH) / SHOWER_LENGTH), 0)
