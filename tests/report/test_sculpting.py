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
from weaver_tt.report.sculpting import jensen_shannon, measure_divergence, measure_sculpting
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


def test_the_divergence_by_hand_and_as_scipy_has_it():
    assert jensen_shannon(np.array([3.0, 0.0]), np.array([0.0, 7.0])) == pytest.approx(1)
    assert jensen_shannon(np.array([1.0, 3.0]), np.array([2.0, 6.0])) == pytest.approx(0)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(
        0.311278, abs=1e-6
    )  # log2(4/3)/2 + (log2(2/3) + 1)/4
    first, second = np.array([5.0, 2.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second, base=2) ** 2)


def test_an_empty_spectrum_has_no_divergence():
    assert jensen_shannon(np.array([0.0, -1.0]), np.array([1.0, 1.0])) is None


def test_few_rows_have_another_shape_by_chance():
    # (bins - 1) / (8 n ln 2): 9 / (8 * 500 * 0.6931) = 0.003246
    every = np.full((2, 10), 1e6)
    passing = np.full((2, 10), 50.0)
    found = measure_divergence(passing, every)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.random == pytest.approx(0.003246, rel=0.05)
    # 8 n ln 2 divergences are a chi-square of 9 degrees of freedom
    assert found.error == pytest.approx(np.sqrt(2 * 9) / (8 * 500 * np.log(2)), rel=0.1)


def test_a_random_selection_has_no_excess_and_its_error_is_the_spread_of_such():
    random = np.random.default_rng(4)
    shape = np.array([5.0, 3.0, 2.0, 1.0, 1.0])
    every = np.stack([1000 * shape, 1000 * shape])
    found = []
    for _ in range(200):
        counts = random.multivariate_hypergeometric((1000 * shape).astype(int), 300)
        found.append(measure_divergence(np.stack([counts, counts]).astype(float), every))
    excess = np.array([one.excess for one in found])
    assert excess.mean() == pytest.approx(0, abs=4 * excess.std() / np.sqrt(200))
    assert np.mean([one.error for one in found]) == pytest.approx(excess.std(), rel=0.4)


def test_the_error_of_a_sculpted_shape_is_the_spread_over_repeated_samples():
    random = np.random.default_rng(5)
    every = np.full((2, 6), 1e5)
    shape = np.array([0.05, 0.1, 0.35, 0.3, 0.15, 0.05])
    values = []
    for _ in range(400):
        counts = random.multinomial(800, shape)
        values.append(jensen_shannon(counts.astype(float), every[0]))
    error = measure_divergence(np.stack([800 * shape, 800 * shape]), every).error
    assert error == pytest.approx(np.std(values), rel=0.15)


def test_weighted_rows_count_as_their_effective_number():
    every = np.full((2, 10), 1e6)
    # the same sums from 100 rows of weight 5: (10 * 50)^2 / (10 * 250) = 100
    weighted = np.stack([np.full(10, 50.0), np.full(10, 250.0)])
    found = measure_divergence(weighted, every)
    assert found.random == pytest.approx(9 / (8 * 100 * np.log(2)), rel=0.07)


def test_all_rows_are_no_random_selection_of_their_own():
    every = np.full((2, 4), 7.0)
    found = measure_divergence(every, every)
    assert (found.value, found.random, found.excess) == (0, 0, 0)


def test_nothing_that_passes_has_no_divergence():
    assert measure_divergence(np.zeros((2, 3)), np.ones((2, 3))) is None


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
    assert f"{found['value']:.4f} ± {found['error']:.4f}" in page
    assert f"{found['random']:.4f}" in page
    assert {"sculpting_jet_pt_30.png", "sculpting_jet_pt_50.pdf"} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert "Sculpting of jet_pt" in (tmp_path / "report.html").read_text()


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
