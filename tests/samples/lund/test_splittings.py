"""The orientation of a splitting is that of a line, not of an arrow."""

import numpy as np
import pytest

from weaver_tt.samples.lund.splittings import LARGEST_PSI, orientation


@pytest.mark.parametrize(
    ("d_y", "d_phi", "psi"),
    [
        (1.0, 1.0, np.pi / 4),
        (-1.0, -1.0, np.pi / 4),
        (1.0, -1.0, -np.pi / 4),
        (-1.0, 1.0, -np.pi / 4),
        (0.0, 1.0, 0),
        (0.0, -1.0, 0),
        # along the beam: the upper end of (-pi/2, pi/2], on whichever side the softer one is
        (1.0, 0.0, np.pi / 2),
        (-1.0, 0.0, np.pi / 2),
        (-1.0, -0.0, np.pi / 2),
        # equal directions
        (0.0, 0.0, 0),
    ],
)
def test_psi_is_the_angle_of_the_line_through_both_branches(d_y, d_phi, psi):
    assert float(orientation(d_y, d_phi)) == pytest.approx(psi, abs=2e-7)


def test_the_ends_of_the_half_circle_are_in_it_in_single_precision_too():
    assert float(np.float32(LARGEST_PSI)) == LARGEST_PSI
    assert np.pi / 2 - 2e-7 < LARGEST_PSI < np.pi / 2
