"""correctionlib reads what is written, in any number of bins."""

import correctionlib
import numpy as np
import pytest

from weaver_tt.applications.calibration.kinematic_bins import Axis, KinematicBins
from weaver_tt.applications.calibration.scale_factors_json import BinnedFactor, save_scale_factors

BINS = KinematicBins(
    (Axis("jet_pt", np.array([300.0, 400, 600])), Axis("abs(jet_eta)", np.array([0.0, 1, 2.5])))
)


def test_each_bin_has_its_factor(tmp_path):
    factors = [BinnedFactor(0.9 + number / 100, 0.05, 0.5) for number in range(4)]
    path = tmp_path / "scale_factors.json"
    save_scale_factors({"top": factors}, BINS, path, "a test")
    corrections = correctionlib.CorrectionSet.from_file(str(path))
    correction = corrections["scale_factor"]
    assert [item.name for item in correction.inputs] == [
        "category",
        "systematic",
        "jet_pt",
        "abs_jet_eta",
    ]
    found = correction.evaluate("top", "nominal", np.array([350, 350, 500, 9000]), [0.5, 2, 0.5, 9])
    assert found == pytest.approx([0.90, 0.91, 0.92, 0.93])
    assert correction.evaluate("top", "up", 350.0, 2.0) == pytest.approx(0.96)
    assert correction.evaluate("top", "down", 350.0, 2.0) == pytest.approx(0.86)
    assert corrections["efficiency"].evaluate("top", 350.0, 2.0) == pytest.approx(0.5)
