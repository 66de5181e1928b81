"""Impact parameters."""

import numpy as np
import pytest

from weaver_tt.samples.simulate.tracks import (
    D0_RESOLUTION,
    DZ_RESOLUTION,
    impact_parameters,
    resolution,
    track_columns,
)


def test_impact_parameters_of_a_straight_line_by_hand():
    # moves along (1, 0, 2) and starts at (3, 1, 7):
    # it passed the beam at (0, 1), when z was 7 - 3 * 2
    momentum, vertex = np.array([[1.0], [0.0], [2.0], [9.0]]), np.array([[3.0], [1.0], [7.0]])
    d0, dz = impact_parameters(momentum, vertex)
    assert (d0.tolist(), dz.tolist()) == ([-1.0], [1.0])


def test_a_track_from_the_primary_vertex_has_none():
    d0, dz = impact_parameters(np.ones((4, 1)), np.zeros((3, 1)))
    assert (d0.tolist(), dz.tolist()) == ([0.0], [0.0])


def test_the_errors_at_1_and_100_gev():
    assert resolution(np.array([1.0, 100.0]), D0_RESOLUTION).tolist() == pytest.approx(
        [(0.015**2 + 0.08**2) ** 0.5, 0.015021], abs=1e-6
    )
    assert resolution(np.array([1.0, 100.0]), DZ_RESOLUTION).tolist() == pytest.approx(
        [(0.03**2 + 0.12**2) ** 0.5, 0.030024], abs=1e-6
    )


def test_smearing_has_the_width_that_the_error_says_and_neutral_particles_have_none():
    number = 20_000
    momentum, vertex = np.tile([[3.0], [4.0], [1.0], [6.0]], number), np.zeros((3, number))
    charged = np.arange(number) % 2 == 0
    columns = track_columns(momentum, vertex, charged, np.random.default_rng(1))
    for name in ("d0", "dz"):
        value, error = columns[f"part_{name}val"], columns[f"part_{name}err"]
        pull = value[charged] / error[charged]
        assert pull.mean() == pytest.approx(0, abs=0.04)  # 4 standard deviations of 10,000 numbers
        assert pull.std() == pytest.approx(1, abs=0.03)
        assert not value[~charged].any()
        assert not error[~charged].any()
