"""The 17 classes of DeepAK8: the kind of a jet, and which of its quarks or hadrons lie inside.

CMS, arXiv:2004.08262.
"""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import BOTTOM, CHARM, HIGGS, TOP, W_BOSON, Z_BOSON
from weaver_tt.samples.simulate.flavour import count_heavy
from weaver_tt.samples.simulate.generator import Integers, Particles
from weaver_tt.samples.simulate.jets import ClusteredJets
from weaver_tt.samples.simulate.processes import Process
from weaver_tt.samples.simulate.truth import Origins

DEEPAK8_CLASSES = (
    "Top_bcq",
    "Top_bqq",
    "Top_bc",
    "Top_bq",
    "W_cq",
    "W_qq",
    "Z_bb",
    "Z_cc",
    "Z_qq",
    "H_bb",
    "H_cc",
    "H_qqqq",
    "QCD_bb",
    "QCD_cc",
    "QCD_b",
    "QCD_c",
    "QCD_others",
)
DEEPAK8_LABELS = tuple(f"label_{name}" for name in DEEPAK8_CLASSES)


def deepak8_columns(
    particles: Particles,
    jets: ClusteredJets,
    origins: Origins,
    matched: Integers,
    process: Process,
    radius: float,
) -> dict[str, Integers]:
    """One column (J,) a class, of which one is 1; all are 0 in jets of a particle X.

    ``matched`` (J,): the place in ``origins`` of what a jet is matched to, -1 for nothing.
    """
    if process.resonance is None:
        names = _of_hadrons(particles, jets, radius)
    elif process.lightest is not None:
        names = np.full(len(jets), "")
    else:
        names = _of_decay(particles, jets, origins, matched, process, radius)
    return {f"label_{name}": (names == name).astype(np.int32) for name in DEEPAK8_CLASSES}


def _of_hadrons(particles: Particles, jets: ClusteredJets, radius: float) -> np.ndarray:
    """(J,) classes of QCD jets, by their b hadrons, then by their c hadrons."""
    bottom = count_heavy(particles, jets, BOTTOM, radius)
    charm = count_heavy(particles, jets, CHARM, radius)
    conditions = [bottom > 1, bottom == 1, charm > 1, charm == 1]
    return np.select(conditions, ["QCD_bb", "QCD_b", "QCD_cc", "QCD_c"], "QCD_others")


def _of_decay(
    particles: Particles,
    jets: ClusteredJets,
    origins: Origins,
    matched: Integers,
    process: Process,
    radius: float,
) -> np.ndarray:
    """(J,) classes of jets of a resonance, by the quarks that it decays to."""
    quarks = origins.quarks[matched]  # (J, Q)
    kind = np.abs(particles.pid[quarks])
    if process.resonance == TOP:
        _, eta, phi = pt_eta_phi(*particles.momentum[:3, quarks])
        is_inside = delta_r(eta, phi, jets.eta[:, None], jets.phi[:, None]) < radius
        # the first is the b quark
        light_inside = is_inside[:, 1:]
        is_whole = light_inside.all(axis=1)
        has_charm = ((kind[:, 1:] == CHARM) & light_inside).any(axis=1)
        conditions = [is_whole & has_charm, is_whole, has_charm]
        return np.select(conditions, ["Top_bcq", "Top_bqq", "Top_bc"], "Top_bq")
    has_bottom = (kind == BOTTOM).any(axis=1)
    has_charm = (kind == CHARM).any(axis=1)
    if process.resonance == W_BOSON:
        return np.where(has_charm, "W_cq", "W_qq")
    if process.resonance == Z_BOSON:
        return np.select([has_bottom, has_charm], ["Z_bb", "Z_cc"], "Z_qq")
    assert process.resonance == HIGGS
    if quarks.shape[1] == 4:
        return np.full(len(jets), "H_qqqq")
    return np.where(has_bottom, "H_bb", "H_cc")
