"""The toys of the calibration benchmark are what they are said to be."""

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
        yield importlib.import_module("calibration")


def test_the_data_have_the_known_factors(benchmark):
    rng = np.random.default_rng(1)
    for name, factor in benchmark.FACTORS.items():
        spectra = benchmark.draw_spectra(name, 400_000, factor, 1.0, 1.0, rng)
        passing, failing = spectra.sums[0].sum(1)
        # some jets are beyond the fine bins; the errors of 400,000 jets are below 1 %
        assert passing / (passing + failing) == pytest.approx(
            factor * benchmark.EFFICIENCY[name], rel=0.03
        )


def test_what_falls_short_is_said(benchmark, capsys):
    pulls = np.array([-1.0, 0.0, 1.0]) * 1.1
    benchmark.show("model", {"good": pulls, "shifted": pulls + 0.5}, 0.3, width=True)
    benchmark.show("model", {"narrow": 0.5 * pulls}, 0.3, width=True)
    good, shifted, narrow = capsys.readouterr().out.splitlines()
    assert good.endswith("| ok |")
    assert shifted.endswith("| falls short |")
    assert narrow.endswith("| falls short |")
