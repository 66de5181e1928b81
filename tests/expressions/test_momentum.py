"""Four-momenta: every coordinate from every set of stored ones."""

import math

import awkward as ak
import numpy as np
import pytest

from weaver_tt.expressions.momentum import (
    add_momenta,
    coordinate,
    is_momentum,
    make_momentum,
    momentum_delta_eta,
    momentum_delta_phi,
    momentum_delta_r,
)


def test_a_3_4_12_13_vector_has_these_coordinates():
    p4 = make_momentum(
        px=ak.Array([3.0]),
        py=ak.Array([4.0]),
        pz=ak.Array([12.0]),
        energy=ak.Array([math.sqrt(13**2 + 7**2)]),
    )
    found = {
        name: coordinate(p4, name)[0]
        for name in ("pt", "p", "mass", "eta", "phi", "theta", "mt", "et", "rapidity")
    }
    energy = math.sqrt(13**2 + 49)
    assert found == pytest.approx(
        {
            "pt": 5,
            "p": 13,
            "mass": 7,
            "eta": math.asinh(12 / 5),
            "phi": math.atan2(4, 3),
            "theta": math.atan2(5, 12),
            "mt": math.hypot(7, 5),
            "et": energy * 5 / 13,
            "rapidity": 0.5 * math.log((energy + 12) / (energy - 12)),
        }
    )


@pytest.mark.parametrize("last", ["mass", "energy"])
def test_stored_coordinates_come_back_as_they_were_and_the_others_agree(last):
    values = {"pt": [[5.0, 20.0], []], "eta": [[1.0, -2.0], []], "phi": [[0.5, 3.0], []]}
    fourth = [[7.0, 3.0], []] if last == "mass" else [[30.0, 90.0], []]
    p4 = make_momentum(
        **{name: ak.Array(value) for name, value in values.items()}, **{last: ak.Array(fourth)}
    )
    for name, value in values.items():
        assert coordinate(p4, name).tolist() == value
    cartesian = make_momentum(
        **{name: coordinate(p4, name) for name in ("px", "py", "pz", "energy")}
    )
    for name in ("pt", "eta", "phi", "mass"):
        assert ak.flatten(coordinate(cartesian, name)).tolist() == pytest.approx(
            ak.flatten(coordinate(p4, name)).tolist()
        )


def test_the_sum_of_two_back_to_back_photons_is_at_rest():
    one = make_momentum(
        pt=ak.Array([45.0]), eta=ak.Array([0.0]), phi=ak.Array([0.0]), mass=ak.Array([0.0])
    )
    other = make_momentum(
        pt=ak.Array([45.0]), eta=ak.Array([0.0]), phi=ak.Array([math.pi]), mass=ak.Array([0.0])
    )
    assert coordinate(add_momenta(one, other), "mass")[0] == pytest.approx(90)
    assert coordinate(add_momenta(one, other), "pt")[0] == pytest.approx(0, abs=1e-9)


def test_azimuths_are_subtracted_the_short_way_round():
    one = make_momentum(
        pt=ak.Array([1.0]), eta=ak.Array([3.0]), phi=ak.Array([3.0]), mass=ak.Array([0.0])
    )
    other = make_momentum(
        pt=ak.Array([1.0]), eta=ak.Array([0.0]), phi=ak.Array([-3.0]), mass=ak.Array([0.0])
    )
    short = 6 - 2 * math.pi
    assert momentum_delta_phi(one, other)[0] == pytest.approx(short)
    assert momentum_delta_r(one, other)[0] == pytest.approx(math.hypot(3, short))


def test_only_records_of_four_momenta_are_four_momenta():
    p4 = make_momentum(
        pt=ak.Array([[1.0]]), eta=ak.Array([[0.0]]), phi=ak.Array([[0.0]]), mass=ak.Array([[0.0]])
    )
    assert is_momentum(p4)
    assert not is_momentum(ak.Array([[1.0]]))
    assert not is_momentum(np.ones(2))
    assert not is_momentum(ak.zip({"pt": [1.0]}))


def test_a_spacelike_vector_has_a_negative_mass():
    p4 = make_momentum(
        px=ak.Array([5.0]), py=ak.Array([0.0]), pz=ak.Array([0.0]), energy=ak.Array([3.0])
    )
    assert coordinate(p4, "mass")[0] == pytest.approx(-4)


def test_differences_are_the_first_minus_the_second():
    zeros = {"pt": ak.Array([1.0]), "mass": ak.Array([0.0])}
    one = make_momentum(eta=ak.Array([3.0]), phi=ak.Array([0.5]), **zeros)
    other = make_momentum(eta=ak.Array([1.0]), phi=ak.Array([0.25]), **zeros)
    assert momentum_delta_eta(one, other).tolist() == [2]
    assert momentum_delta_phi(one, other).tolist() == pytest.approx([0.25])


def test_the_polar_angle_of_a_backward_momentum_is_beyond_a_right_angle():
    backward = make_momentum(
        px=ak.Array([1.0]), py=ak.Array([0.0]), pz=ak.Array([-1.0]), energy=ak.Array([2.0])
    )
    assert coordinate(backward, "theta").tolist() == pytest.approx([3 * math.pi / 4])
