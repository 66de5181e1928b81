"""Flavours of jets, by name and number."""

import awkward as ak
import numpy as np
import pytest
import torch

from weaver_tt.physics.particles import FLAVOUR_CODES, FLAVOURS, flavour_index, is_parton

CODES = [5, -5, 4, -4, 0, 1, 15, 21]
EXPECTED = [0, 0, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "flavours",
    [
        np.array(CODES),
        np.array(CODES, np.int8),
        np.array(CODES, np.float32),
        ak.Array(CODES),
        torch.tensor(CODES),
        torch.tensor(CODES, dtype=torch.float32),
    ],
)
def test_b_is_0_c_is_1_and_anything_else_2_in_every_kind_of_array(flavours):
    assert flavour_index(flavours).tolist() == EXPECTED


def test_an_index_can_index_and_an_unknown_flavour_is_light():
    index = flavour_index(np.array([5.0, np.nan]))
    assert np.array(FLAVOURS)[index].tolist() == ["b", "light"]
    assert flavour_index(torch.tensor([5.0])).dtype == torch.int64


def test_names_stand_in_the_order_of_the_index():
    for name, code in FLAVOUR_CODES.items():
        assert FLAVOURS[flavour_index(code)] == name


def test_quarks_gluons_and_diquarks_are_partons_as_pythia_says():
    pythia8mc = pytest.importorskip("pythia8mc")
    table = pythia8mc.Pythia("", False).particleData
    # top quarks, which decay before they could be in a jet, are no partons to Pythia
    numbers = [number for number in range(1, 10_000) if table.isParticle(number) and number != 6]
    expected = [table.findParticle(number).isParton() for number in numbers]
    assert sum(expected) == 5 + 1 + 25
    assert is_parton(np.array(numbers)).tolist() == expected
    assert is_parton(-np.array(numbers)).tolist() == expected


def test_the_top_is_a_parton_a_fourth_generation_leptons_and_hadrons_are_none():
    numbers = torch.tensor([6, 7, 11, 22, 211, 2212, 0])
    assert is_parton(numbers).tolist() == [True] + [False] * 6
