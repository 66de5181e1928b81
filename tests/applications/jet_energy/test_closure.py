"""Cells of the closure hold the jets they should, and say whether they are 1."""

from dataclasses import replace

import numpy as np
import pytest

from tests.applications.jet_energy.toy import toy_jets, write_jets
from weaver_tt.applications.jet_energy.closure import Cell, Closure, measure_closure
from weaver_tt.applications.jet_energy.jets import JetFiles
from weaver_tt.errors import DataError

SOURCES = {"pt": "jet_pt", "eta": "jet_eta", "gen_pt": "gen_pt", "reco_pt": "jet_pt"}


def test_cells_are_those_of_measured_and_of_true_pt():
    """600 jets of 90 GeV that were 120 GeV, and 100 that were 45 GeV; factor 1.5, 1.25."""
    closure = Closure(center="median")
    values = {
        "pt": np.full(700, 90.0),
        "reco_pt": np.full(700, 90.0),
        "eta": np.full(700, -1.0),
        "gen_pt": np.where(np.arange(700) < 600, 120.0, 45.0),
    }
    closure.add(values, np.where(np.arange(700) < 600, 1.5, 1.25))
    by_measured = {(cell.pt, cell.eta): cell for cell in closure.cells("reco_pt") if cell.jets}
    assert list(by_measured) == [((50, 100), (0.8, 1.3))]
    cell = by_measured[(50, 100), (0.8, 1.3)]
    assert cell.jets == 700
    assert cell.median == pytest.approx(135 / 120, rel=2e-3)
    assert cell.mean == pytest.approx((600 * 1.125 + 100 * 2.5) / 700)
    by_true = {cell.pt: cell for cell in closure.cells("gen_pt") if cell.jets}
    assert {pt: cell.jets for pt, cell in by_true.items()} == {(30, 50): 100, (100, 200): 600}
    assert by_true[30, 50].median == pytest.approx(2.5, rel=2e-3)
    rows = closure.summary()["gen_pt"]
    assert [row["closes"] for row in rows if row["jets"]] == [None, False]


@pytest.mark.parametrize(
    ("median", "error", "closes"),
    [(1.0099, 0.001, True), (1.011, 0.001, False), (0.98, 0.007, True), (0.98, 0.006, False)],
)
def test_a_cell_closes_within_a_percent_or_three_errors(median, error, closes):
    cell = Cell(
        pt=(30, 50),
        eta=(0, 0.8),
        jets=600,
        median=median,
        median_error=error,
        mean=2.0,
        mean_error=0.0,
        gaussian=1.5,
        gaussian_error=0.1,
    )
    assert cell.closes("median") is closes
    assert not cell.closes("mean")
    assert cell.has_jets()
    assert not replace(cell, jets=500).has_jets()


def test_jets_beyond_the_range_are_counted_and_get_the_factor_of_its_border(correction, tmp_path):
    columns = toy_jets(400)
    path = write_jets(tmp_path / "jets.root", columns)
    closure = measure_closure(correction, JetFiles(paths=[path], sources=SOURCES), "median")
    low, high = np.where(np.abs(columns["jet_eta"]) < 1, [[20], [200]], [[50], [400]])
    pt = columns["jet_pt"].astype(np.float64)
    assert closure.outside == ((pt < low) | (pt >= high)).sum() > 100
    assert closure.jets == 400


def test_no_jets_are_refused(correction, tmp_path):
    none = {name: values[:0] for name, values in toy_jets(4).items()}
    path = write_jets(tmp_path / "jets.parquet", none)
    with pytest.raises(DataError, match=r"jets.parquet: no jets"):
        measure_closure(correction, JetFiles(paths=[path], sources=SOURCES), "median")
