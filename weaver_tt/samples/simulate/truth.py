"""Which particle of the hard process a jet comes from."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import W_BOSON, Z_BOSON
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles, flat_entries
from weaver_tt.samples.simulate.processes import Process

OUTGOING = (5, 6)  # where Pythia's record of a 2 -> 2 process has the outgoing partons


@dataclass(slots=True, kw_only=True)
class Origins:
    """M particles that jets may come from, sorted by event.

    Each with the Q quarks (or the one parton) that a jet must hold.
    """

    event: Integers  # (M,)
    index: Integers  # (M,) where the particle is in the event record
    quarks: Integers  # (M, Q) the same of its quarks


def find_origins(particles: Particles, process: Process) -> Origins:
    """The decaying resonances of each event with their quarks.

    The two outgoing partons where the process has no resonance.
    """
    if process.resonance is None:
        index = (particles.starts[:, None] + np.array(OUTGOING)).ravel()
        return Origins(event=particles.event[index], index=index, quarks=index[:, None])
    index = decaying_particles(particles, process.resonance)
    quarks = particles.daughters[:, index]  # (2, M)
    is_boson = np.isin(np.abs(particles.pid[quarks]), (W_BOSON, Z_BOSON))
    if is_boson.all():
        # of a Higgs boson to two bosons: the quarks of both
        decays = [particles.daughters[:, last_copy(particles, boson)] for boson in quarks]
        quarks = np.concatenate(decays)  # (4, M)
    elif is_boson.any():
        # of a top quark: its b, and the quarks of the W boson
        boson, bottom = np.where(is_boson[0], quarks, quarks[::-1])
        boson = last_copy(particles, boson)
        quarks = np.stack([bottom, *particles.daughters[:, boson]])  # (3, M)
    return Origins(event=particles.event[index], index=index, quarks=quarks.T)


def decaying_particles(particles: Particles, pid: int) -> Integers:
    """Where the particles of a kind and their antiparticles decay.

    That is the last of the copies that recoils and emissions leave of them in the record.
    """
    is_copied = particles.pid[particles.daughters] == particles.pid  # (2, M)
    is_kind = np.abs(particles.pid) == pid
    return np.flatnonzero(is_kind & ~is_copied.any(axis=0))


def last_copy(particles: Particles, index: Integers) -> Integers:
    """Follow particles through their copies until they decay."""
    while True:
        daughters = particles.daughters[:, index]  # (2, M)
        # a particle without daughters is given itself as daughter
        is_copy = (particles.pid[daughters] == particles.pid[index]) & (daughters != index)
        if not is_copy.any():
            return index
        index = np.where(is_copy[1], daughters[1], index)
        index = np.where(is_copy[0], daughters[0], index)


def match_jets(
    event: Integers,
    eta: Floats,
    phi: Floats,
    particles: Particles,
    candidates: Origins,
    radius: float,
    *,
    partial: bool = False,
) -> Integers:
    """For each of J jets the nearest candidate of its event, as a place in ``candidates``, or -1.

    Candidate and all its quarks must be nearer than ``radius`` to the jet's axis, as in the top
    tagging benchmark. With ``partial``, one of the quarks behind the first is enough: of top
    quarks, one of the W boson's.

    Source: arXiv:1902.09914, section 2.
    """
    # every jet with every candidate of its event
    counts = np.bincount(candidates.event, minlength=len(particles.counts))
    paired = ak.unflatten(np.arange(len(candidates.event)), counts)[event]  # (J, var)
    jet = np.repeat(np.arange(len(event)), ak.num(paired))  # (pairs,)
    candidate = flat_entries(paired)  # (pairs,)
    held = np.column_stack([candidates.index, candidates.quarks])[candidate]  # (pairs, 1 + Q)
    _, particle_eta, particle_phi = pt_eta_phi(*particles.momentum[:3, held])
    distance = delta_r(particle_eta, particle_phi, eta[jet, None], phi[jet, None])
    is_inside = distance < radius
    is_held = is_inside.all(axis=1)
    if partial:
        is_held = is_inside[:, :2].all(axis=1) & is_inside[:, 2:].any(axis=1)
    # farthest first: of several that a jet holds, the nearest is written last and stays
    order = np.argsort(-distance[is_held, 0], kind="stable")
    best = np.full(len(event), -1)
    best[jet[is_held][order]] = candidate[is_held][order]
    return best
