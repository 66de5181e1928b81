"""Events of Pythia 8 (Bierlich et al., arXiv:2203.11601) as flat arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError
from weaver_tt.physics.particles import HIGGS
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.system.optional_imports import require_module

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

PYTHIA_SEEDS = 900_000_000  # Pythia takes seeds from 1 to this
MASS_DRAWS = 1  # tells the random numbers of masses from those of the detector
STABLE = 10.0
"""mm: particles with a longer proper lifetime c tau reach the detector, as experiments at the LHC
define it."""


@dataclass(slots=True, kw_only=True)
class Particles:
    """All entries of Pythia's record of E events, M in all, one event after another; GeV and mm."""

    counts: Integers  # (E,) entries of each event
    pid: Integers  # (M,) PDG number
    status: Integers  # (M,) above 0 in the final state
    daughters: Integers  # (2, M) places of the first and the last daughter; itself without any
    momentum: Floats  # (4, M): px, py, pz, E
    vertex: Floats  # (3, M): x, y, z of the production vertex
    charge: Floats  # (M,)
    pthat: Floats  # (E,) pTHat of the hard process
    weight: Floats  # (E,) of the event; 1 unless events are drawn with a bias

    @property
    def starts(self) -> Integers:
        """(E,) where each event begins."""
        return np.cumsum(self.counts) - self.counts

    @property
    def event(self) -> Integers:
        """(M,) which event an entry belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def generate_events(sample: SampleSettings, block: int) -> Iterator[Particles]:
    """The events of a block, batch by batch: the same for the same sample and block.

    Those that Pythia gives up are left out. Every block starts Pythia anew with its own seed, so
    that it does not matter which process makes it. A particle X has another mass in each batch.

    Raises:
        ConfigError: Pythia refuses the settings.
    """
    pythia = start_pythia(sample, block_seed(sample.seed, block), block)
    starts = range(0, sample.block, sample.batch)
    masses = masses_of_block(sample, block, len(starts))
    for first, mass in zip(starts, masses, strict=True):
        if mass is not None:
            _start_at_mass(pythia, mass, sample)
        size = min(sample.batch, sample.block - first)
        record = pythia.nextBatch(size, "skip")
        yield flatten_record(record, pythia.particleData)


def masses_of_block(sample: SampleSettings, block: int, batches: int) -> list[float | None]:
    """The masses in GeV of a particle X in each batch of a block; None where it is Pythia's.

    One is drawn in each of as many slices of the window, of equal width, in any order: each block
    is as flat as it can be, and so are the first batches of one on average.
    """
    if sample.kind.lightest is None:
        return [None] * batches
    rng = np.random.default_rng([sample.seed, block, MASS_DRAWS])
    low, high = sample.masses
    slices = rng.permutation(batches) + rng.random(batches)
    masses: list[float | None] = (low + (high - low) * slices / batches).tolist()
    return masses


def _start_at_mass(pythia: Any, mass: float, sample: SampleSettings) -> None:
    """Start Pythia again for another mass, where its sequence of random numbers has got to."""
    # Pythia leaves the two ends of the last mass in its table, and sets new ones where there is no
    # upper one
    for text in (f"m0 = {mass}", "mMin = 0.1", "mMax = 0"):
        pythia.readString(f"{HIGGS}:{text}")
    pythia.readString("Random:setSeed = off")
    if not pythia.init():
        raise ConfigError(f"simulate: Pythia cannot generate {sample.process} of {mass:g} GeV")


def start_pythia(sample: SampleSettings, seed: int, block: int = 0) -> Any:
    """Pythia for a block of events, initialized and silent."""
    low, high = sample.pthat
    settings = [
        f"PhaseSpace:pTHatMin = {low}",
        f"PhaseSpace:pTHatMax = {high}",
        f"PartonLevel:MPI = {'on' if sample.mpi else 'off'}",
        f"HadronLevel:all = {'off' if sample.parton_level else 'on'}",
        *sample.kind.settings_of_block(block),
    ]
    if sample.kind.pthat_power is not None:
        settings.append("PhaseSpace:bias2Selection = on")
        settings.append(f"PhaseSpace:bias2SelectionPow = {sample.kind.pthat_power}")
    return pythia_with(settings, sample.energy, seed, sample.process)


def pythia_with(settings: Sequence[str], energy: float, seed: int, process: str) -> Any:
    """Pythia for protons at ``energy`` GeV, initialized and silent.

    Raises:
        ConfigError: it refuses a setting; ``process`` is what was asked for.
    """
    settings = [
        "Print:quiet = on",
        f"Beams:eCM = {energy}",
        "ParticleDecays:limitTau0 = on",
        f"ParticleDecays:tau0Max = {STABLE}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        *settings,
    ]
    pythia = require_module("pythia8mc", "simulate", "simulate").Pythia("", False)
    refused = [text for text in settings if not pythia.readString(text)]
    if refused or not pythia.init():
        details = "; ".join(refused or settings)
        raise ConfigError(f"simulate: Pythia cannot generate {process} ({details})")
    return pythia


def flatten_record(record: ak.Array, table: Any) -> Particles:
    """Pythia's batch of events as arrays; ``table`` is its particle data."""
    entries = record.prt
    counts = ak.to_numpy(ak.num(entries)).astype(np.int64)
    pid = _whole_numbers(entries["id"])
    momentum = [flat_entries(entries.p[name]) for name in ("px", "py", "pz", "e")]
    vertex = []
    for name in ("px", "py", "pz"):
        # missing where Pythia has set none: the particle is made where the protons meet
        coordinate = ak.fill_none(entries.vProd[name], 0.0)
        vertex.append(flat_entries(coordinate))
    # the table is asked once for each kind of particle
    kinds, which = np.unique(pid, return_inverse=True)
    charge_of_kind = np.array([table.charge(int(kind)) for kind in kinds])
    return Particles(
        counts=counts,
        pid=pid,
        status=_whole_numbers(entries["status"]),
        daughters=_daughters(entries, counts),
        momentum=np.stack(momentum),
        vertex=np.stack(vertex),
        charge=charge_of_kind[which],
        pthat=np.sqrt(ak.to_numpy(record.info.pT2Hat)),
        weight=ak.to_numpy(record.info.weights[:, 0]),
    )


def _daughters(entries: ak.Array, counts: Integers) -> Integers:
    """(2, M) places of the first and the last daughter among all entries."""
    first = _whole_numbers(entries["daughter1"])
    last = _whole_numbers(entries["daughter2"])
    event_start = np.repeat(np.cumsum(counts) - counts, counts)
    # Pythia counts within an event, and writes 0 where there is no daughter
    itself = np.arange(len(first)) - event_start
    first = np.where(first > 0, first, itself)
    last = np.where(last > 0, last, first)
    return event_start + np.stack([first, last])


def _whole_numbers(jagged: ak.Array) -> Integers:
    return flat_entries(jagged).astype(np.int64)


def flat_entries(jagged: ak.Array) -> npt.NDArray[Any]:
    """Values of a jagged array (E, var), one event or jet after another: (M,)."""
    return ak.to_numpy(ak.flatten(jagged))


def block_seed(seed: int, block: int) -> int:
    """Pythia's seed for a block.

    That of block 0 is drawn, the others follow, so that no two blocks of a sample share one.
    """
    first = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return (first + block) % PYTHIA_SEEDS + 1
