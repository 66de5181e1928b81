"""Events -> the columns of the jets that count."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.physics.four_momentum import invariant_mass, pt_eta_phi
from weaver_tt.physics.jet_columns import momentum_columns
from weaver_tt.physics.particles import ELECTRON, GLUON, LIGHT_QUARKS, MUON, PHOTON
from weaver_tt.samples.simulate.generator import Integers, Particles
from weaver_tt.samples.simulate.jets import ClusteredJets, find_jets, substructure
from weaver_tt.samples.simulate.processes import LABELS, Process, SampleSettings
from weaver_tt.samples.simulate.tracks import track_columns
from weaver_tt.samples.simulate.truth import find_origins, match_jets

Columns = dict[str, Any]  # name -> (J,) numbers or (J, var)


def jet_columns(particles: Particles, sample: SampleSettings, rng: np.random.Generator) -> Columns:
    """All columns of the jets of some events that are in the window and matched as the process asks; see docs/simulate.md."""
    process = sample.kind
    jets = find_jets(particles, sample)
    candidates = find_origins(particles, process)
    matched = match_jets(jets.event, jets.eta, jets.phi, particles, candidates, sample.radius)
    origin = np.append(candidates.index, -1)[matched]  # (J,) the last, -1, is for jets without
    counts = is_accepted(particles.pid, origin, process)
    jets, origin = jets[counts], origin[counts]
    momenta = [_take_jagged(particles.momentum[axis], jets.constituents) for axis in range(4)]
    return (
        momentum_columns(*momenta)
        | {
            name: values.astype(np.float32)
            for name, values in substructure(particles, jets, sample.radius).items()
        }
        | _constituents(particles, jets, rng)
        | _origin(particles, origin)
        | _labels(particles, origin, process)
    )


def is_accepted(pid: Integers, origin: Integers, process: Process) -> np.ndarray:
    """(J,) whether a jet from ``origin`` (its place in the event record, or -1) counts: matched, and to one of the process's partons."""
    if process.resonance is not None:
        return origin >= 0
    return (
        (origin >= 0) & np.isin(np.abs(pid[origin]), process.partons)
        if process.partons
        else np.ones(len(origin), bool)
    )


def _constituents(particles: Particles, jets: ClusteredJets, rng: np.random.Generator) -> Columns:
    """Kind, charge and impact parameters of constituents."""
    places = ak.to_numpy(ak.flatten(jets.constituents))
    pid, charge = particles.pid[places], particles.charge[places]
    kind, charged = np.abs(pid), particles.charge[places] != 0
    lepton, photon = np.isin(kind, (ELECTRON, MUON)), kind == PHOTON
    flat = {
        "part_charge": charge.astype(np.float32),
        "part_pid": pid.astype(np.int32),
        "part_isChargedHadron": charged & ~lepton,
        "part_isNeutralHadron": ~charged & ~photon,
        "part_isPhoton": photon,
        "part_isElectron": kind == ELECTRON,
        "part_isMuon": kind == MUON,
    }
    tracks = track_columns(particles.momentum[:, places], particles.vertex[:, places], charged, rng)
    flat |= {name: values.astype(np.float32) for name, values in tracks.items()}
    counts = ak.num(jets.constituents)
    return {name: ak.unflatten(values, counts) for name, values in flat.items()}


def _origin(particles: Particles, origin: Integers) -> Columns:
    """The particle that a jet is matched to; 0 where it is not."""
    found = origin >= 0
    momentum = particles.momentum[:, origin]
    pt, eta, phi = pt_eta_phi(*momentum[:3])
    values = {"pt": pt, "eta": eta, "phi": phi, "mass": invariant_mass(*momentum)}
    single = {
        f"aux_genpart_{name}": np.where(found, value, 0).astype(np.float32)
        for name, value in values.items()
    }
    return single | {"aux_genpart_pid": np.where(found, particles.pid[origin], 0).astype(np.int32)}


def _labels(particles: Particles, origin: Integers, process: Process) -> Columns:
    """JetClass's classes; light quark or gluon; and ``label``, 1 for signal, as in the public top (top) and quark/gluon (quark) sets."""
    kind = np.where(origin >= 0, np.abs(particles.pid[origin]), 0)
    quark, gluon = np.isin(kind, LIGHT_QUARKS), kind == GLUON
    signal = quark if process.partons else np.full(len(origin), process.resonance is not None)
    classes = {name: np.full(len(origin), name == process.label) for name in LABELS} | {
        "jet_isQ": quark,
        "jet_isG": gluon,
        "label": signal,
    }
    return {name: values.astype(np.int32) for name, values in classes.items()}


def _take_jagged(values: np.ndarray, places: ak.Array) -> ak.Array:
    """Values of entries, jagged as their places are."""
    return ak.unflatten(values[ak.to_numpy(ak.flatten(places))], ak.num(places))
