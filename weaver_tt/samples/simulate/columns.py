"""Events -> the columns of the jets that count."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.physics.four_momentum import invariant_mass, pt_eta_phi
from weaver_tt.physics.jet_columns import momentum_columns
from weaver_tt.physics.particles import ELECTRON, GLUON, LIGHT_QUARKS, MUON, PHOTON, is_parton
from weaver_tt.samples.lund.trees import MOMENTA, LundCuts, flat_momenta, lund_trees
from weaver_tt.samples.simulate.deepak8 import deepak8_columns
from weaver_tt.samples.simulate.generator import Integers, Particles, flat_entries
from weaver_tt.samples.simulate.jets import ClusteredJets, at_places, find_jets, substructure
from weaver_tt.samples.simulate.processes import LABELS, X_LABELS, Process, SampleSettings
from weaver_tt.samples.simulate.tracks import track_columns
from weaver_tt.samples.simulate.truth import find_origins, match_jets

Columns = dict[str, Any]  # name -> (J,) numbers or (J, var)


def jet_columns(particles: Particles, sample: SampleSettings, rng: np.random.Generator) -> Columns:
    """All columns of the jets of some events; see docs/simulate.md.

    Of those that are in the window and matched as the process asks.
    """
    process = sample.kind
    jets = find_jets(particles, sample)
    candidates = find_origins(particles, process)
    matched = match_jets(
        jets.event,
        jets.eta,
        jets.phi,
        particles,
        candidates,
        sample.radius,
        partial=sample.partial,
    )
    # -1, for jets without a candidate, takes the last entry, which is -1 again
    origin = np.append(candidates.index, -1)[matched]  # (J,)
    accepted = is_accepted(particles.pid, origin, process)
    jets = jets[accepted]
    origin = origin[accepted]
    classes = deepak8_columns(
        particles, jets, candidates, matched[accepted], process, sample.radius
    )
    momenta = [at_places(component, jets.constituents) for component in particles.momentum]
    columns = momentum_columns(*momenta)
    for name, values in substructure(particles, jets, sample.radius).items():
        columns[name] = values.astype(np.float32)
    columns |= _constituent_columns(particles, jets, rng)
    columns |= _origin_columns(particles, origin)
    columns |= _label_columns(particles, origin, process)
    if sample.partial:
        # the class of whole top jets
        is_whole = classes["label_Top_bcq"] + classes["label_Top_bqq"]
        columns["label_Tbqq"] = is_whole.astype(np.int32)
    columns |= classes
    if sample.lund:
        # of the momenta as the file has them, so that `weaver-tt lund` finds the same
        stored = [columns[name] for name in MOMENTA]
        trees = lund_trees(*flat_momenta(stored), LundCuts(), "simulate --lund")
        columns |= trees.columns()
    return columns


def is_accepted(pid: Integers, origin: Integers, process: Process) -> np.ndarray:
    """(J,) whether a jet from ``origin`` (its place in the event record, or -1) counts.

    It must be matched, and to one of the process's partons where it names some.
    """
    if process.resonance is not None:
        return origin >= 0
    if not process.partons:
        return np.ones(len(origin), bool)
    is_wanted = np.isin(np.abs(pid[origin]), process.partons)
    return (origin >= 0) & is_wanted


def _constituent_columns(
    particles: Particles, jets: ClusteredJets, rng: np.random.Generator
) -> Columns:
    """Kind, charge and impact parameters of constituents."""
    places = flat_entries(jets.constituents)
    pid = particles.pid[places]
    charge = particles.charge[places]
    # partons are of no kind that a detector tells apart, and leave no tracks
    parton = is_parton(pid)
    charged = (charge != 0) & ~parton
    kind = np.abs(pid)
    lepton = np.isin(kind, (ELECTRON, MUON))
    photon = kind == PHOTON
    flat = {
        "part_charge": charge.astype(np.float32),
        "part_pid": pid.astype(np.int32),
        "part_isChargedHadron": charged & ~lepton,
        "part_isNeutralHadron": ~charged & ~photon & ~parton,
        "part_isPhoton": photon,
        "part_isElectron": kind == ELECTRON,
        "part_isMuon": kind == MUON,
    }
    momentum = particles.momentum[:, places]
    vertex = particles.vertex[:, places]
    tracks = track_columns(momentum, vertex, charged, rng)
    for name, values in tracks.items():
        flat[name] = values.astype(np.float32)
    counts = ak.num(jets.constituents)
    return {name: ak.unflatten(values, counts) for name, values in flat.items()}


def _origin_columns(particles: Particles, origin: Integers) -> Columns:
    """The particle that a jet is matched to; 0 where it is not."""
    matched = origin >= 0
    momentum = particles.momentum[:, origin]  # (4, J)
    pt, eta, phi = pt_eta_phi(*momentum[:3])
    values = {"pt": pt, "eta": eta, "phi": phi, "mass": invariant_mass(*momentum)}
    columns = {}
    for name, value in values.items():
        columns[f"aux_genpart_{name}"] = np.where(matched, value, 0).astype(np.float32)
    pid = np.where(matched, particles.pid[origin], 0)
    columns["aux_genpart_pid"] = pid.astype(np.int32)
    return columns


def _label_columns(particles: Particles, origin: Integers, process: Process) -> Columns:
    """JetClass's classes and those of X; light quark or gluon; and ``label``, 1 for signal.

    Signal is top in the public top set, quarks in the quark/gluon set.
    """
    kind = np.where(origin >= 0, np.abs(particles.pid[origin]), 0)
    quark = np.isin(kind, LIGHT_QUARKS)
    # in dijet events a quark is the signal
    signal = quark if process.partons else np.full(len(origin), process.resonance is not None)
    flags = {name: np.full(len(origin), name == process.label) for name in (*LABELS, *X_LABELS)}
    flags["jet_isQ"] = quark
    flags["jet_isG"] = kind == GLUON
    flags["label"] = signal
    return {name: values.astype(np.int32) for name, values in flags.items()}
