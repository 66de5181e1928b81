"""Which share of the particles of a flat spectrum of masses have a jet."""

import numpy as np
import pytest

pytest.importorskip("pythia8mc")

from tests.samples.simulate.test_truth import BEAM, record
from weaver_tt.samples.simulate.acceptance import Acceptance, acceptance_of
from weaver_tt.samples.simulate.processes import sample_settings

SAMPLE = sample_settings("x-bb", mass_min=20.0, mass_max=120.0)  # bins of 20 GeV
X = [*BEAM, (25, 2, 3, 0.0, 0.0), (5, 0, 0, 0.1, 0.0), (-5, 0, 0, -0.1, 0.0)]


def particles_x(pt, eta, mass):
    """Events of one particle X each."""
    particles = record(*[X for _ in pt])
    pt, eta, mass = (np.array(values, dtype=float) for values in (pt, eta, mass))
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    places = np.flatnonzero(particles.pid == 25)
    particles.momentum[:, places] = [pt, np.zeros(len(pt)), pt * np.sinh(eta), energy]
    return particles


def test_particles_in_the_window_are_counted_by_mass_and_so_are_those_that_jets_hold():
    # the third is too soft, the fourth too far forward; the last is a little below the window
    particles = particles_x(
        pt=[600, 600, 500, 600, 640, 600],
        eta=[0.0, 1.0, 0.0, 2.5, -1.9, 0.0],
        mass=[25, 35, 35, 35, 110, 19.97],
    )
    columns = {
        "aux_genpart_pt": [600, 500, 600],  # the second is held, but outside
        "aux_genpart_eta": [0.0, 0.0, 0.0],
        "aux_genpart_mass": [25, 35, 19.97],
    }
    columns = {name: np.array(values) for name, values in columns.items()}
    found = acceptance_of(particles, columns, SAMPLE)
    assert found == Acceptance(generated=(3, 0, 0, 0, 1), held=(2, 0, 0, 0, 0))
    assert (found + found).generated == (6, 0, 0, 0, 2)
    assert found.text(SAMPLE) == (
        "50%; by mass in GeV, 20-40: 67%, 40-60: none, 60-80: none, 80-100: none, 100-120: 0%"
    )
