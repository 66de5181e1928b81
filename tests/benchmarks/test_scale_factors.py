"""The closure of scale factors, on a few jets whose numbers are worked out by hand."""

import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        # benchmarks are scripts, which import those beside them
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("scale_factors")


def jets(seed, efficiency, number=60_000):
    random = np.random.default_rng(seed)
    delta_r, pt, eta = random.random((3, number))
    return {
        "pt": pt,
        "eta": eta,
        "delta_r": delta_r,
        "flavour": random.choice([0, 4, 5], number).astype(float),
        "istag": (random.random(number) < efficiency(delta_r)).astype(float),
    }


def test_a_share_of_weighted_tags_has_its_variance(benchmark):
    sample = {"istag": np.array([1.0, 0, 1, 1])}
    place = np.array([0, 0, 0, 1])
    share, variance = benchmark.tagged_share(sample, place, 2, np.array([0.5, 9, 2.0, 3.0]))
    assert share == pytest.approx([2.5 / 3, 3])
    assert variance == pytest.approx([((0.25 + 4) / 3 - (2.5 / 3) ** 2) / 3, 0])


def test_the_factor_in_dr_closes_and_a_map_of_pt_and_eta_does_not(benchmark):
    data = jets(1, lambda delta_r: 0.3 + 0.2 * delta_r)
    simulation = jets(2, lambda delta_r: 0.5 + 0 * delta_r)
    test = jets(3, lambda delta_r: 0.5 + 0 * delta_r)
    true = benchmark.closure(data, test, 0.6 + 0.4 * test["delta_r"])
    of_map = benchmark.closure(data, test, benchmark.map_factors(data, simulation, test))
    # 1 +- sqrt(2 / 15)
    assert true["chi2_per_ndf"] < 1 + 4 * np.sqrt(2 / 15)
    assert of_map["chi2_per_ndf"] > 10
    # both have as many tags as the data
    for found in (true, of_map):
        assert found["flavours"]["b"]["value"] == pytest.approx(1, abs=0.05)
