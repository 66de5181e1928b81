"""Moments of relative residuals against numpy on all jets at once."""

import numpy as np
import pytest

from weaver_tt.applications.truth_tagging.residuals import EDGES, Residuals


def test_mean_and_rms_do_not_depend_on_chunks_and_equal_numpy():
    rng = np.random.default_rng(3)
    true, estimate, flavour = (
        rng.uniform(0.1, 0.9, 400),
        rng.uniform(0.1, 0.9, 400),
        rng.integers(0, 2, 400),
    )
    residuals = Residuals()
    for part in np.array_split(np.arange(400), 3):
        residuals.fill(true[part], estimate[part], flavour[part], np.ones(len(part)))
    summary = residuals.summary()
    assert list(summary) == ["b", "c"]  # no light jets
    of_c = ((true - estimate) / true)[flavour == 1]
    assert summary["c"]["mean"] == pytest.approx(of_c.mean())
    assert summary["c"]["rms"] == pytest.approx(of_c.std())
    assert summary["c"]["mean_error"] == pytest.approx(of_c.std() / np.sqrt(len(of_c)))
    assert summary["c"]["jets"] == len(of_c)
    assert residuals.counts[1].sum() == ((of_c >= EDGES[0]) & (of_c <= EDGES[-1])).sum()


def test_error_of_the_rms_is_that_of_repeated_samples():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        residuals = Residuals()
        residuals.fill(
            np.ones(200), 1 - rng.exponential(0.1, 200), np.zeros(200, int), np.ones(200)
        )
        found.append(residuals.summary()["b"])
    assert np.mean([one["rms_error"] for one in found]) == pytest.approx(
        np.std([one["rms"] for one in found]), rel=0.2
    )


def test_weights_count_and_jets_without_an_estimate_do_not():
    residuals = Residuals()
    residuals.fill(
        np.array([0.5, 0.5, 0.5]),
        np.array([0.4, 0.6, np.nan]),
        np.zeros(3, int),
        np.array([3.0, 1.0, 9.0]),
    )
    numbers = residuals.summary()["b"]
    assert numbers["mean"] == pytest.approx((3 * 0.2 - 0.2) / 4)
    assert numbers["jets"] == pytest.approx(4**2 / (9 + 1))
