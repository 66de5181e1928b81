"""Columns that follow from the constituents' momenta."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.physics.angles import wrap_phi
from weaver_tt.physics.jet_columns import momentum_columns


def columns(*jets):
    """Columns of jets given as lists of (px, py, pz, E)."""
    axes = [ak.Array([[particle[axis] for particle in jet] for jet in jets]) for axis in range(4)]
    return momentum_columns(*axes)


def test_two_particles_by_hand():
    jet = columns([(3.0, 0.0, 0.0, 5.0), (0.0, 4.0, 0.0, 8.0)])
    assert jet["jet_pt"].tolist() == [5.0]
    assert jet["jet_energy"].tolist() == [13.0]
    assert jet["jet_mass"].tolist() == [12.0]  # 13^2 - 5^2
    assert jet["jet_phi"].tolist() == pytest.approx([np.arctan2(4, 3)])
    assert jet["jet_nparticles"].tolist() == jet["n_parts"].tolist() == [2]
    assert jet["part_dphi"][0].tolist() == pytest.approx(
        [-np.arctan2(4, 3), np.pi / 2 - np.arctan2(4, 3)]
    )
    assert jet["part_deta"][0].tolist() == [0, 0]


def test_positive_deta_is_forward_on_both_sides():
    forward, backward = (
        [(1.0, 0.0, 2.0, 3.0), (1.0, 0.0, 1.0, 2.0)],
        [(1.0, 0.0, -2.0, 3.0), (1.0, 0.0, -1.0, 2.0)],
    )
    jets = columns(forward, backward)
    assert jets["part_deta"][0].tolist() == pytest.approx(
        [np.arcsinh(2) - np.arcsinh(1.5), np.arcsinh(1) - np.arcsinh(1.5)]
    )
    assert jets["part_deta"][1].tolist() == jets["part_deta"][0].tolist()


def test_azimuths_are_compared_across_pi():
    jet = columns([(-1.0, 0.01, 0.0, 2.0), (-1.0, -0.01, 0.0, 2.0)])
    assert np.abs(ak.to_numpy(jet["part_dphi"])).max() == pytest.approx(0.01, rel=1e-3)
    assert wrap_phi(np.array([np.pi, -np.pi, 3 * np.pi / 2])).tolist() == pytest.approx(
        [-np.pi, -np.pi, -np.pi / 2]
    )


def test_the_same_as_vector_makes_of_random_jets():
    vector = pytest.importorskip("vector")
    rng = np.random.default_rng(1)
    parts = rng.normal(0, 10, (3, 6, 5))
    energy = np.sqrt((parts**2).sum(axis=0)) + rng.exponential(1, (6, 5))
    jets = columns(*np.moveaxis(np.stack([*parts, energy]), 0, -1).tolist())
    sums = vector.array(
        {
            name: values.sum(axis=1)
            for name, values in zip(("px", "py", "pz", "E"), [*parts, energy], strict=True)
        }
    )
    each = vector.array(dict(zip(("px", "py", "pz", "E"), [*parts, energy], strict=True)))
    for name in ("pt", "eta", "phi", "energy", "mass"):
        assert ak.to_numpy(jets[f"jet_{name}"]) == pytest.approx(getattr(sums, name), rel=1e-5)
    assert ak.to_numpy(jets["part_dphi"]) == pytest.approx(each.deltaphi(sums[:, None]), abs=1e-5)
    assert ak.to_numpy(jets["part_deta"]) == pytest.approx(
        (each.eta - sums.eta[:, None]) * np.sign(sums.eta)[:, None], abs=1e-5
    )
    assert {
        str(values.type.content).removeprefix("var * ")
        for name, values in jets.items()
        if name.startswith("part_")
    } == {"float32"}


def test_a_jet_without_constituents_is_finite():
    jets = columns([(1.0, 0.0, 0.0, 1.0)], [])
    assert [float(jets[f"jet_{name}"][1]) for name in ("pt", "eta", "phi", "energy", "mass")] == [
        0
    ] * 5
    assert jets["jet_nparticles"].tolist() == [1, 0]
