"""Particles in flight, written by hand."""

import numpy as np

from weaver_tt.physics.four_momentum import px_py_pz
from weaver_tt.samples.simulate.detector.particles import FlyingParticles


def flying(*entries, mass=0.0):
    """Particles of one event, of (PDG number, charge, pT, eta, phi) and perhaps a vertex."""
    full = [(*entry, (0.0, 0.0, 0.0)) if len(entry) == 5 else entry for entry in entries]
    pid, charge, pt, eta, phi, vertex = zip(*full, strict=True)
    momentum = np.stack(px_py_pz(np.array(pt, float), np.array(eta), np.array(phi)))
    energy = np.sqrt((momentum**2).sum(axis=0) + mass**2)
    return FlyingParticles(
        event=np.zeros(len(pid), int),
        collision=np.zeros(len(pid), int),
        pid=np.array(pid),
        charge=np.array(charge, float),
        momentum=np.concatenate([momentum, energy[None]]),
        vertex=np.array(vertex, float).T,
    )


def many(number, *entry, mass=0.0):
    """As many copies of one particle."""
    return flying(entry, mass=mass)[np.zeros(number, int)]
