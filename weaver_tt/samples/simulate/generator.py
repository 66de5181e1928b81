"""Events of Pythia 8 (Bierlich et al., arXiv:2203.11601) as flat arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.system.optional_imports import require_module

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

PYTHIA_SEEDS = 900_000_000  # Pythia takes seeds from 1 to this
STABLE = 10.0  # mm: particles with a longer proper lifetime c tau reach the detector, as experiments at the LHC define it


@dataclass(slots=True, kw_only=True)
class Particles:
    """All entries of Pythia's record of E events, M in all, one event after another; GeV and mm."""

    counts: Integers  # (E,) entries of each event
    pid: Integers  # (M,) PDG number
    status: Integers  # (M,) above 0 in the final state
    daughters: Integers  # (2, M) where in these arrays the first and the last daughter are; itself where there are none
    momentum: Floats  # (4, M): px, py, pz, E
    vertex: Floats  # (3, M): x, y, z of the production vertex
    charge: Floats  # (M,)

    @property
    def starts(self) -> Integers:
        """(E,) where each event begins."""
        return np.cumsum(self.counts) - self.counts

    @property
    def event(self) -> Integers:
        """(M,) which event an entry belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def generate_events(sample: SampleSettings, block: int) -> Iterator[Particles]:
    """The events of a block, batch by batch (those that Pythia gives up are left out): the same for the same sample and block.

    Every block starts Pythia anew with its own seed, so that it does not matter which process makes it. ConfigError: Pythia refuses the settings.
    """
    pythia = start_pythia(sample, block_seed(sample.seed, block))
    for first in range(0, sample.block, sample.batch):
        record = pythia.nextBatch(min(sample.batch, sample.block - first), "skip")
        yield flatten_record(record, pythia.particleData)


def start_pythia(sample: SampleSettings, seed: int) -> Any:
    """Pythia, initialised and silent."""
    low, high = sample.pthat
    settings = [
        "Print:quiet = on",
        f"Beams:eCM = {sample.energy}",
        f"PhaseSpace:pTHatMin = {low}",
        f"PhaseSpace:pTHatMax = {high}",
        f"PartonLevel:MPI = {'on' if sample.mpi else 'off'}",
        "ParticleDecays:limitTau0 = on",
        f"ParticleDecays:tau0Max = {STABLE}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        *sample.kind.settings,
    ]
    pythia = require_module("pythia8mc", "simulate", "simulate").Pythia("", False)
    refused = [text for text in settings if not pythia.readString(text)]
    if refused or not pythia.init():
        raise ConfigError(
            f"simulate: Pythia cannot generate {sample.process} ({'; '.join(refused or settings)})"
        )
    return pythia


def flatten_record(record: ak.Array, table: Any) -> Particles:
    """Pythia's batch of events as arrays; ``table`` is its particle data."""
    entries = record.prt
    counts = ak.to_numpy(ak.num(entries)).astype(np.int64)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    pid, status, one, two = (
        ak.to_numpy(ak.flatten(entries[name])).astype(np.int64)
        for name in ("id", "status", "daughter1", "daughter2")
    )
    one = np.where(one > 0, one, np.arange(len(pid)) - first)
    daughters = first + np.stack([one, np.where(two > 0, two, one)])
    momentum = np.stack(
        [ak.to_numpy(ak.flatten(entries.p[name])) for name in ("px", "py", "pz", "e")]
    )
    vertex = np.stack(
        [
            ak.to_numpy(ak.flatten(ak.fill_none(entries.vProd[name], 0.0)))
            for name in ("px", "py", "pz")
        ]
    )
    kinds, which = np.unique(pid, return_inverse=True)
    charge = np.array([table.charge(int(kind)) for kind in kinds])[which]
    return Particles(
        counts=counts,
        pid=pid,
        status=status,
        daughters=daughters,
        momentum=momentum,
        vertex=vertex,
        charge=charge,
    )


def block_seed(seed: int, block: int) -> int:
    """Pythia's seed: that of block 0 is drawn, the others follow, so that no two blocks of a sample share one."""
    return (int(np.random.SeedSequence(seed).generate_state(1)[0]) + block) % PYTHIA_SEEDS + 1
