"""What jets are reconstructed from."""

import numpy as np
import pytest

from tests.samples.simulate.test_jets import particles
from weaver_tt.samples.simulate.candidates import (
    RHO_CELLS,
    candidate_pid,
    energy_density,
    exact_events,
)


def test_a_perfect_identification_knows_leptons_photons_and_two_kinds_of_hadrons():
    pid = np.array([11, -13, 22, -321, 2212, 310, -2112])
    charge = np.array([-1, 1, 0, -1, 1, 0, 0])
    assert candidate_pid(pid, charge).tolist() == [11, -13, 22, -211, 211, 130, 130]


def test_a_perfect_detector_sees_all_visible_particles_by_event_hardest_first():
    events = exact_events(
        particles(
            [(5, 0, 0, 211, 1), (9, 6.0, 0, 22, 1), (7, 0, 0, 12, 1)],
            [(3, 0, 0, 2112, 1), (4, 0, 0, 211, -83)],
        )
    )
    found = events.candidates
    assert found.event.tolist() == [0, 0, 1]
    assert np.hypot(*found.momentum[:2]) == pytest.approx([9, 5, 3])
    assert found.hcal_fraction[2] == 1
    assert events.primary_vertices.tolist() == [1, 1]
    assert len(events.vertices.event) == 0


def test_the_energy_density_is_the_median_of_cells_by_hand():
    # 1 GeV in each cell, but 100 GeV in one of them; event 1 has one particle, and a median of 0
    rows, columns = RHO_CELLS
    eta = (np.arange(rows) + 0.5) / rows * 10 - 5
    phi = (np.arange(columns) + 0.5) / columns * 2 * np.pi - np.pi
    event = [
        (100.0 if i == j == 0 else 1.0, eta[i], phi[j], 22, 1)
        for i in range(rows)
        for j in range(columns)
    ]
    found = exact_events(particles(event, [(50.0, 0.0, np.pi, 22, 1), (9.0, 5.5, 0.0, 22, 1)]))
    area = 10 * 2 * np.pi / (rows * columns)
    assert energy_density(found.candidates, 2) == pytest.approx([1 / area, 0])
