"""Sculpting against sorting and against scipy."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from weaver_tt import cli
from weaver_tt.errors import ConfigError
from weaver_tt.report.commands import ReportOptions
from weaver_tt.report.evaluation import ColumnBins, equal_width, evaluate_model
from weaver_tt.report.scores import ModelFiles
from weaver_tt.report.sculpting import measure_sculpting, rejection_of, select_background
from weaver_tt.reports import run_report

CLASSES = ["top", "qcd"]
EDGES = np.array([500.0, 530.0, 560.0, 600.0])


@pytest.fixture(scope="module")
def table(tmp_path_factory, write):
    """A prediction file, and its scores, classes and pT: the tagger depends on the pT."""
    import uproot

    path = write(tmp_path_factory.mktemp("sculpting") / "pred.root", CLASSES, entries=4000)
    columns = uproot.open(path)["tree"].arrays(["score_top", "top", "jet_pt"], library="np")
    return path, columns["score_top"], columns["top"] == 1, columns["jet_pt"]


def test_spectra_are_those_of_sorting_all_scores(table):
    path, score, top, pt = table
    model = evaluate_model(
        ModelFiles(name="model", paths=(str(path),), bin_column="jet_pt"),
        CLASSES,
        ColumnBins("jet_pt", EDGES),
    )
    found = measure_sculpting(model, 0, (0.3, 0.5))
    assert found.every[0].tolist() == np.histogram(pt[~top], EDGES)[0].tolist()
    for number, efficiency in enumerate((0.3, 0.5)):
        threshold = np.quantile(score[top], 1 - efficiency)
        expected = np.histogram(pt[~top & (score > threshold)], EDGES)[0]
        assert found.passing[number, 0] == pytest.approx(
            expected, abs=3
        )  # rows that share the threshold's bin
        assert (
            found.passing[number, 1].tolist() == found.passing[number, 0].tolist()
        )  # weights are 1
        assert found.divergences[number].value == pytest.approx(
            jensenshannon(found.passing[number, 0], found.every[0], base=2) ** 2
        )


def test_the_other_class_can_be_the_signal(table):
    path, _, top, pt = table
    model = evaluate_model(
        ModelFiles(name="model", paths=(str(path),), bin_column="jet_pt"),
        CLASSES,
        ColumnBins("jet_pt", EDGES),
    )
    assert measure_sculpting(model, 1).every[0].tolist() == np.histogram(pt[top], EDGES)[0].tolist()


def test_bins_of_equal_width_leave_out_the_outermost_per_cent(table):
    path, _, _, pt = table
    edges = equal_width(
        ModelFiles(name="model", paths=(str(path),), bin_column="jet_pt"), CLASSES, 10
    ).edges
    assert np.diff(edges) == pytest.approx(np.full(10, (edges[-1] - edges[0]) / 10))
    assert (edges[0], edges[-1]) == pytest.approx(tuple(np.quantile(pt, [0.005, 0.995])))


def test_the_report_measures_and_draws_it(table, tmp_path):
    path, *_ = table
    assert (
        cli.main(
            [
                "report",
                f"one:{path}",
                f"two:{path}",
                "-o",
                str(tmp_path),
                "--mass-column",
                "jet_pt",
                "--mass-edges",
                "500",
                "540",
                "600",
            ]
        )
        == 0
    )
    numbers = json.loads((tmp_path / "metrics.json").read_text())["sculpting"]
    assert (numbers["column"], numbers["signal"]) == ("jet_pt", "top")
    assert numbers["edges"] == [500, 540, 600]
    assert numbers["jensen_shannon_bits"]["one"] == numbers["jensen_shannon_bits"]["two"]
    found = numbers["jensen_shannon_bits"]["one"]["0.5"]
    assert 0 < found["value"] < 0.1
    assert found["excess"] == found["value"] - found["random"]
    assert found["error"] > 0
    page = (tmp_path / "report.html").read_text()
    assert f"{found['value']:.4f}" in page
    assert f"± {found['error']:.4f}" in page
    assert f"{found['random']:.4f}" in page
    assert {"sculpting_jet_pt_30.png", "sculpting_jet_pt_50.pdf"} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert (tmp_path / "trade_off_jet_pt.png").stat().st_size > 5000
    rejection = numbers["rejection"]["one"]["0.5"]
    _, score, top, pt = table
    threshold = np.quantile(score[top], 0.5)
    inside = ~top & (pt < 540)
    # rows that share the threshold's bin
    expected = inside.sum() / (inside & (score > threshold)).sum()
    assert rejection["in_bins"][0]["value"] == pytest.approx(expected, rel=0.03)
    assert rejection["value"] == pytest.approx(
        (~top).sum() / (~top & (score > threshold)).sum(), rel=0.03
    )
    assert "Sculpting of jet_pt" in (tmp_path / "report.html").read_text()


def test_a_rejection_is_one_over_the_share_with_the_spread_of_its_samples():
    # shares of 0.1, and in the samples 0.07 and 0.13: 0.1 +- 0.03, so that 10 +- 3
    found = rejection_of(np.array([10.0, 7.0, 13.0]), np.full(3, 100.0))
    assert (found.value, found.error) == pytest.approx((10, 3))
    assert rejection_of(np.zeros(3), np.full(3, 100.0)).value == np.inf
    assert np.isnan(rejection_of(np.zeros(3), np.zeros(3)).value)
    # a sample without rows says nothing
    found = rejection_of(np.array([1.0, 0.0, 1.0, 0.0]), np.array([2.0, 0.0, 4.0, 4.0]))
    assert (found.value, found.error) == pytest.approx((2, 0.125 * 4))


def drawn(random, jets=(400, 3000)):
    """Histograms (2, 30) of a signal's score, and (2, 5, 30) of a background's that is sculpted."""
    signal = np.histogram(random.beta(3, 1, jets[0]), 30, (0, 1))[0]
    mass = random.integers(0, 5, jets[1])
    score = random.beta(1, 3 - 0.4 * mass)
    background = np.histogram2d(mass, score, (5, 30), ((0, 5), (0, 1)))[0]
    return np.stack([signal] * 2).astype(float), np.stack([background] * 2)


def test_errors_are_the_spread_over_repeated_samples_that_of_the_threshold_included():
    random = np.random.default_rng(3)
    found = [select_background(*drawn(random), (0.5,)) for _ in range(100)]
    excess = [one.divergences[0] for one in found]
    spread = np.std([one.excess for one in excess])
    assert np.mean([one.error for one in excess]) == pytest.approx(spread, rel=0.25)
    for numbers in (
        [one.rejections[0] for one in found],
        [one.rejections_in_bins[0][3] for one in found],
    ):
        spread = np.std([one.value for one in numbers])
        assert np.mean([one.error for one in numbers]) == pytest.approx(spread, rel=0.25)
    # 1 / eps_B in all bins: the threshold moves with the 400 rows of the signal
    fixed = [one.passing[0, 0].sum() / 3000 for one in found]
    binomial = np.mean([np.sqrt(share * (1 - share) / 3000) / share**2 for share in fixed])
    assert np.mean([one.rejections[0].error for one in found]) > 1.2 * binomial


def test_a_sample_without_signal_keeps_the_threshold():
    signal = np.array([[0.0, 0.0, 1e-9], [0.0, 0.0, 1.0]])
    background = np.stack([np.full((2, 3), 50.0)] * 2)
    found = select_background(signal, background, (0.5,))
    assert np.isfinite(found.rejections[0].error)


def test_edges_that_do_not_increase_are_refused(table, tmp_path):
    path, *_ = table
    with pytest.raises(
        ConfigError, match=r"--mass-edges 2\.0 1\.0: expected two or more numbers that increase"
    ):
        run_report(
            ReportOptions(
                predictions=[str(path)],
                output=str(tmp_path),
                mass_column="jet_pt",
                mass_edges=[2.0, 1.0],
            )
        )
