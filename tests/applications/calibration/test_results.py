"""What a calibration ends with, as texts with names."""

import pytest

from weaver_tt.applications.calibration.results import factor_results
from weaver_tt.applications.calibration.scale_factors import ScaleFactor


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        # totals of 0.00071, 0.19 and 0
        ((0.0005, 0.0005, 0.0), "0.91234 ± 0.00050 (stat) ± 0.00050 (sim) ± 0.00000 (syst)"),
        ((0.17, 0.08, 0.01), "0.91 ± 0.17 (stat) ± 0.08 (sim) ± 0.01 (syst)"),
        ((0.0, 0.0, 0.0), "0.912 ± 0.000 (stat) ± 0.000 (sim) ± 0.000 (syst)"),
    ],
)
def test_a_scale_factor_and_its_errors_end_at_the_second_digit_of_the_total(errors, text):
    statistical, simulation, systematic = errors
    factor = ScaleFactor(
        category="top",
        data=0.64,
        data_error=0.014,
        mc=0.7,
        mc_error=0.0033,
        value=0.912341,
        statistical=statistical,
        simulation=simulation,
        systematic=systematic,
    )
    assert list(factor_results(factor)) == [
        ("  SF top", text),
        ("  efficiency of top", "0.640 ± 0.014 in data, 0.7000 ± 0.0033 simulated"),
    ]
