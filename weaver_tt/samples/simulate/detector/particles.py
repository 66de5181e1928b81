"""Particles on their way through the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.particles import ELECTRON, MUON, PHOTON
from weaver_tt.samples.simulate.columnar import Columnar
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles
from weaver_tt.samples.simulate.jets import visible_places


@dataclass(slots=True, kw_only=True)
class FlyingParticles(Columnar):
    """M particles of several events, in any order; GeV and mm."""

    event: Integers  # (M,)
    collision: Integers  # (M,) 0 for the hard collision of the event, 1, 2, ... for the others
    pid: Integers  # (M,) PDG number
    charge: Floats  # (M,)
    momentum: Floats  # (4, M): px, py, pz, E
    vertex: Floats  # (3, M): where the particle is made

    @property
    def is_electromagnetic(self) -> np.ndarray:
        """(M,) whether it makes an electromagnetic shower."""
        return np.isin(np.abs(self.pid), (ELECTRON, PHOTON))

    @property
    def is_muon(self) -> np.ndarray:
        """(M,) whether it is a muon."""
        return np.abs(self.pid) == MUON


def flying_particles(particles: Particles) -> FlyingParticles:
    """The visible particles of the generator's events, as they leave the hard collision."""
    visible = visible_places(particles, np.inf)
    return FlyingParticles(
        event=particles.event[visible],
        collision=np.zeros(len(visible), np.int64),
        pid=particles.pid[visible],
        charge=particles.charge[visible],
        momentum=particles.momentum[:, visible],
        vertex=particles.vertex[:, visible],
    )
