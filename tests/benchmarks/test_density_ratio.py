"""Two samples whose ratio is known, and what is said of a ratio that was learnt."""

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
        yield importlib.import_module("density_ratio")


def test_the_denominator_weighted_with_the_ratio_is_the_numerator(benchmark):
    data = benchmark.draw(40_000, 1, True)
    mc = benchmark.draw(40_000, 2, False)
    true = benchmark.preference(mc) / benchmark.mean_preference(50)
    assert true.mean() == pytest.approx(1, abs=4 * true.std() / 200)
    for name in benchmark.NAMES:
        weighted = np.average(mc[name], weights=true)
        # 4 standard deviations of both means
        error = 4 * np.hypot(data[name].std(), mc[name].std() * 1.1) / 200
        assert data[name].mean() == pytest.approx(weighted, abs=error)
    assert benchmark.preference(mc).max() < 1.3


def test_the_map_is_the_ratio_in_each_of_its_bins(benchmark):
    # quantiles of pT: 15 bins of 8 jets, one in each bin of eta
    pt = np.repeat(np.arange(15.0), 8) + 30
    eta = np.tile(np.linspace(-2.4, 2.4, 8), 15)
    mc = {"pt": pt, "eta": eta}
    data = {"pt": np.append(pt, 30.0), "eta": np.append(eta, -2.4)}
    ratio = benchmark.map_ratio(data, mc, {"pt": np.array([30.0, 90.0]), "eta": eta[[0, 1]]})
    assert ratio.tolist() == pytest.approx([2 * 120 / 121, 120 / 121])


def test_a_bar_that_is_missed_is_told(benchmark, capsys):
    best = {"rms": 0.03, "mean": 0.001}
    # of the last epoch nothing is asked
    good = {"best": best, "last": {"rms": 0.09, "mean": 0.2}, "cpu": 4.0}
    found = {"map": {"rms": 0.07, "mean": 0.0}, **{loss: [good] for loss in benchmark.LOSSES}}
    size = benchmark.Size(rows=10, seeds=1, mean=0.005)
    assert benchmark.report(found, size)
    assert not benchmark.report({**found, "kl": [{**good, "best": {**best, "rms": 0.05}}]}, size)
    assert not benchmark.report({**found, "kl": [{**good, "best": {**best, "mean": -0.006}}]}, size)
    line = "| kl | 1 | 0.0300 | met | -0.0060 | MISSED | 0.0900 | +0.2000 | 4 s |"
    assert line in capsys.readouterr().out
