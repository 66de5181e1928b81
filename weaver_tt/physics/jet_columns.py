"""The columns of a file of jets that follow from the constituents' momenta.

Named as in JetClass (Qu, Li, Qian, arXiv:2202.03772).
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.physics.angles import delta_phi
from weaver_tt.physics.four_momentum import invariant_mass, pt_eta_phi


def momentum_columns(px: ak.Array, py: ak.Array, pz: ak.Array, energy: ak.Array) -> dict[str, Any]:
    """Columns of N jets from their constituents' momenta in GeV, jagged (N, var) float64.

    ``jet_pt jet_eta jet_phi jet_energy jet_mass`` of the sum of the constituents,
    ``jet_nparticles`` (which some public configurations call ``n_parts``),
    ``part_px part_py part_pz part_energy``, and ``part_deta part_dphi`` relative to the jet:
    pseudorapidity times the sign of the jet's, so that positive is always forward, and azimuth in
    [-pi, pi). Computed in float64, stored as float32.
    """
    # (N,) each: px, py, pz, E of the jet
    total = [np.asarray(ak.sum(values, axis=1), np.float64) for values in (px, py, pz, energy)]
    jet_pt, jet_eta, jet_phi = pt_eta_phi(*total[:3])
    _, eta, phi = pt_eta_phi(px, py, pz)
    forward = np.where(jet_eta < 0, -1.0, 1.0)
    columns = {
        "jet_pt": jet_pt,
        "jet_eta": jet_eta,
        "jet_phi": jet_phi,
        "jet_energy": total[3],
        "jet_mass": invariant_mass(*total),
        "part_px": px,
        "part_py": py,
        "part_pz": pz,
        "part_energy": energy,
        "part_deta": (eta - jet_eta) * forward,
        "part_dphi": delta_phi(phi, jet_phi),
    }
    single = {name: ak.values_astype(values, np.float32) for name, values in columns.items()}
    number = np.asarray(ak.num(px), np.int32)
    return single | {"jet_nparticles": number, "n_parts": number}
