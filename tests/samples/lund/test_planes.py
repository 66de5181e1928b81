"""The average Lund plane is splittings a jet and area."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.figures.lund_plane import LN_ANGLE_EDGES, LN_KT_EDGES
from weaver_tt.samples.lund.planes import LundPlanes


def test_the_density_is_splittings_a_jet_and_area():
    planes = LundPlanes()
    # two splittings at ln 1/Delta = 1.1 and ln kt = 2.1, in bins of 0.2 x 0.2, of four jets
    table = {
        "lund_lndelta": ak.Array([[-1.1, -1.1], [], [3.0], []]),
        "lund_lnkt": ak.Array([[2.1, 2.1], [], [0.0], []]),
    }
    signal = np.array([True, True, False, False])
    for _ in range(2):
        planes.add({"signal": signal, "other": ~signal, "none": np.zeros(4, bool)}, table)
    densities = planes.densities()
    assert densities.keys() == {"signal", "other"}
    column = np.searchsorted(LN_ANGLE_EDGES, 1.1) - 1
    row = np.searchsorted(LN_KT_EDGES, 2.1) - 1
    assert densities["signal"][column, row] == pytest.approx(2 / 2 / 0.04)
    assert (densities["signal"] > 0).sum() == 1
    # ln 1/Delta = -3 is beyond the edges
    assert densities["other"].sum() == 0


def test_classes_that_have_jets_of_one_before_them_are_left_out():
    planes = LundPlanes()
    table = {"lund_lndelta": ak.Array([[-1.1]] * 4), "lund_lnkt": ak.Array([[2.1]] * 4)}
    qcd = np.array([True, True, False, False])
    of_b = np.array([True, False, False, False])
    # not in the first piece of the file
    planes.add({"QCD": qcd, "top": ~qcd, "QCD_b": np.zeros(4, bool)}, table)
    planes.add({"QCD": qcd, "top": ~qcd, "QCD_b": of_b}, table)
    assert list(planes.densities()) == ["QCD", "top"]
    assert planes.left_out == ["QCD_b"]
