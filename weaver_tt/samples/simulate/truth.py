"""Which particle of the hard process a jet comes from."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import W_BOSON
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles
from weaver_tt.samples.simulate.processes import Process

OUTGOING = (5, 6)  # where Pythia's record of a 2 -> 2 process has the outgoing partons


@dataclass(slots=True, kw_only=True)
class Origins:
    """M particles that jets may come from, sorted by event, each with the Q quarks (or the one parton) that a jet must hold."""

    event: Integers  # (M,)
    index: Integers  # (M,) where the particle is in the event record
    quarks: Integers  # (M, Q) the same of its quarks


def find_origins(particles: Particles, process: Process) -> Origins:
    """The decaying resonances of each event with their quarks, or the two outgoing partons where the process has no resonance."""
    if process.resonance is None:
        index = (particles.starts[:, None] + np.array(OUTGOING)).ravel()
        return Origins(event=particles.event[index], index=index, quarks=index[:, None])
    index = decaying_particles(particles, process.resonance)
    quarks = particles.daughters[:, index]  # (2, M)
    if (
        np.abs(particles.pid[quarks]) == W_BOSON
    ).any():  # a top quark: its b, and the quarks of the W boson
        is_boson = np.abs(particles.pid[quarks]) == W_BOSON
        boson = last_copy(particles, np.where(is_boson[0], quarks[0], quarks[1]))
        quarks = np.stack(
            [np.where(is_boson[0], quarks[1], quarks[0]), *particles.daughters[:, boson]]
        )
    return Origins(event=particles.event[index], index=index, quarks=quarks.T)


def decaying_particles(particles: Particles, pid: int) -> Integers:
    """Where the particles of a kind and their antiparticles decay: the last of their copies that recoils and emissions leave in the record."""
    same = particles.pid[particles.daughters] == particles.pid  # (2, M)
    return np.flatnonzero((np.abs(particles.pid) == pid) & ~same.any(axis=0))


def last_copy(particles: Particles, index: Integers) -> Integers:
    """Follow particles through their copies until they decay."""
    while True:
        daughters = particles.daughters[:, index]  # (2, M)
        same = (particles.pid[daughters] == particles.pid[index]) & (daughters != index)
        if not same.any():
            return index
        index = np.where(same[0], daughters[0], np.where(same[1], daughters[1], index))


def match_jets(
    event: Integers,
    eta: Floats,
    phi: Floats,
    particles: Particles,
    candidates: Origins,
    radius: float,
) -> Integers:
    """For each of J jets the nearest candidate of its event, as a place in ``candidates``, or -1.

    Candidate and all its quarks must be nearer than ``radius`` to the jet's axis, as in the top tagging benchmark (arXiv:1902.09914, section 2).
    """
    counts = np.bincount(candidates.event, minlength=len(particles.counts))
    paired = ak.unflatten(np.arange(len(candidates.event)), counts)[event]  # (J, var)
    jet, candidate = (
        np.repeat(np.arange(len(event)), ak.num(paired)),
        ak.to_numpy(ak.flatten(paired)),
    )
    held = np.column_stack([candidates.index, candidates.quarks])[candidate]  # (pairs, 1 + Q)
    _, particle_eta, particle_phi = pt_eta_phi(*particles.momentum[:3, held])
    distance = delta_r(particle_eta, particle_phi, eta[jet, None], phi[jet, None])
    inside = (distance < radius).all(axis=1)
    order = np.argsort(-distance[inside, 0], kind="stable")  # the nearest is written last and stays
    best = np.full(len(event), -1)
    best[jet[inside][order]] = candidate[inside][order]
    return best
