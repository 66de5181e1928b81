"""Models on a second sample: by counting, over repeated samples, and from the command line."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from weaver_tt import cli
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.report.commands import ReportOptions
from weaver_tt.report.scores import ModelFiles, parse_models
from weaver_tt.report.shifted import (
    evaluate_shifted,
    measure_shift,
    pair_by_name,
    shifted_details,
)
from weaver_tt.report.trainings import evaluate_trainings
from weaver_tt.reports import run_report


def summary(signal, background, weights=None):
    """Of the logits of two classes."""
    meter = ClassificationMeter(["s", "b"], 4000)
    logits = torch.from_numpy(np.concatenate([signal, background])).double()
    target = torch.from_numpy(np.repeat([0, 1], [len(signal), len(background)]))
    score = logits.sigmoid()
    weight = torch.ones_like(score) if weights is None else torch.from_numpy(weights)
    meter.update(Scored(torch.stack([score, 1 - score], 1), target, weight, weight), None)
    return meter.summarize(meter.totals())


def test_efficiencies_at_the_thresholds_of_the_first_sample_by_counting():
    rng = np.random.default_rng(1)
    logits = [rng.normal(1.0, 1, 1000), rng.normal(-1, 1, 4000)]
    other = [rng.normal(0.8, 1, 500), rng.normal(-0.8, 1, 2000)]
    points = measure_shift(summary(*logits), summary(*other), 0)
    assert list(points) == [0.3, 0.5, 0.7]
    for efficiency, point in points.items():
        threshold = np.quantile(logits[0], 1 - efficiency)
        # a bin of the score is 0.002 wide or a little more
        assert point.threshold == pytest.approx(1 / (1 + math.exp(-threshold)), abs=2e-3)
        assert point.signal[0].value == pytest.approx(efficiency)
        assert point.signal[0].error == pytest.approx(
            math.sqrt(efficiency * (1 - efficiency) / 1000)
        )
        assert point.signal[1].value == pytest.approx(np.mean(other[0] > threshold), abs=5e-3)
        for sample, values in enumerate((logits, other)):
            counted = np.mean(values[1] > threshold)
            found = point.background[sample]
            assert found.value == pytest.approx(counted, abs=2e-3)
            assert found.error == pytest.approx(
                math.sqrt(found.value * (1 - found.value) / len(values[1]))
            )


def test_weights_count_in_both_samples():
    signal = np.array([2.0, 1.0])
    background = np.array([1.5, -1.0])
    first = summary(signal, background)
    second = summary(signal, background, np.array([3.0, 1.0, 1.0, 4.0]))
    point = measure_shift(first, second, 0, [0.5])[0.5]
    # between 1 and 2: the signal of weight 3 of 4, the background of weight 1 of 5, or its bin
    assert point.signal[1].value == pytest.approx(0.75)
    assert point.background[1].value == 0
    assert math.isnan(point.performance.value)
    lower = measure_shift(first, second, 0, [0.75])[0.75]
    assert lower.background[1].value == pytest.approx(1 / 5)
    # ((1 - e)^2 1^2 + e^2 4^2) / 5^2
    assert lower.background[1].error == pytest.approx(math.sqrt(0.64 + 0.64) / 5)


def test_the_error_is_the_spread_about_the_truth_at_the_thresholds_that_were_found():
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(250):
        # few rows of the signal, so that their errors matter beside those of the background
        first = [rng.normal(1, 1, 300), rng.normal(-1, 1, 10_000)]
        second = [rng.normal(0.6, 1, 300), rng.normal(-0.7, 1, 10_000)]
        point = measure_shift(summary(*first), summary(*second), 0, [0.5])[0.5]
        cut = np.median(first[0])
        # shares of normal distributions above the cut
        signal = norm.sf(cut - 1), norm.sf(cut - 0.6)
        background = norm.sf(cut + 1), norm.sf(cut + 0.7)
        changes = [2 * (a - b) / (a + b) for a, b in (signal, background)]
        found = point.resilience
        pulls.append((found.value - 1 / math.hypot(*changes)) / found.error)
    # the spread of 250 pulls is known to 4.5 %
    assert np.std(pulls) == pytest.approx(1, abs=0.15)
    assert np.mean(pulls) == pytest.approx(0, abs=0.3)


def files(*names):
    return [ModelFiles(name=name, paths=(f"{name}.root",)) for name in names]


def test_files_are_paired_by_name_in_any_order():
    assert [one.name for one in pair_by_name(files("a", "b"), files("b", "a"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("shifted", "message"),
    [
        (
            ["net", "lund"],
            r"--shifted lund.root: there is no model 'lund' .*; did you mean 'lund5'",
        ),
        (["net"], r"model 'lund5' \(lund5.root\) has no file there; known: net"),
    ],
)
def test_a_name_that_one_side_lacks_is_refused_with_the_nearest(shifted, message):
    with pytest.raises(ConfigError, match=message):
        pair_by_name(files("net", "lund5"), files(*shifted))


def test_a_second_sample_is_in_metrics_figure_and_page(tmp_path, write, capsys):
    first = write(tmp_path / "hadron.root", ["W", "QCD"], seed=1, strength=1.0)
    second = tmp_path / "parton.root"
    # the classes that the seed draws, but seven rows of none
    target = np.random.default_rng(2).integers(0, 2, 600)
    target[:7] = -1
    labels = {"W": (target == 0).astype(np.int8), "QCD": (target == 1).astype(np.int8)}
    write(second, ["W", "QCD"], seed=2, strength=0.7, **labels)
    output = tmp_path / "out"
    models = [f"net@none:{first}", f"net@1:{first}"]
    shifted = [f"net@1:{first}", f"net@none:{second}"]
    flags = ["report", *models, "--shifted", *shifted, "-o", str(output)]
    assert cli.main(flags) == 0
    content = json.loads((output / "metrics.json").read_text())
    of_shifted = content["shifted"]
    assert of_shifted["models"]["net@none"]["files"] == [str(second)]
    assert of_shifted["models"]["net@none"]["rows"] == 600
    points = of_shifted["signals"]["W"]["net@none"]
    assert list(points) == ["0.3", "0.5", "0.7"]
    for efficiency, point in points.items():
        assert point["signal"]["first"]["value"] == pytest.approx(float(efficiency))
        # the same background efficiency as the rejection in the first sample
        rejection = content["models"]["net@none"]["rejection"][efficiency]["one_vs_rest"]["W"]
        assert 1 / point["background"]["first"]["value"] == pytest.approx(rejection["value"])
        assert point["resilience"]["value"] > 0
    # the same file twice: nothing changes
    same = of_shifted["signals"]["W"]["net@1"]["0.5"]["resilience"]
    assert same["value"] is None
    assert same["unlimited"]
    assert (output / "resilience_W.pdf").exists()
    page = (output / "report.html").read_text()
    assert "<h2>Resilience</h2>" in page
    assert "30 % of W pass, against QCD" in page
    assert "unlimited" in page
    assert "Shifted samples" in page
    assert "shifted sample of net@none: 7 of 600 rows are of no class" in page
    assert capsys.readouterr().out == ""


def test_trainings_are_paired_in_order_and_the_median_one_is_shown(tmp_path, write):
    strengths = {"a": (0.6, 0.6), "b": (1.4, 1.3), "c": (1.0, 0.8)}
    for name, (first, second) in strengths.items():
        write(tmp_path / f"{name}_first.root", ["W", "QCD"], strength=first)
        write(tmp_path / f"{name}_second.root", ["W", "QCD"], strength=second, seed=2)

    def paths(sample, names):
        return ",".join(str(tmp_path / f"{name}_{sample}.root") for name in names)

    def points(names):
        sources = parse_models([f"net:{paths('first', names)}"])
        shifted = pair_by_name(sources, parse_models([f"net:{paths('second', names)}"]))
        networks = [evaluate_trainings(source, ["W", "QCD"], None) for source in sources]
        models = evaluate_shifted(networks, shifted, ["W"])
        return shifted_details(models, ["W"])

    together = points("abc")
    assert together["models"]["net"]["files"] == [paths("second", "c")]
    found = together["signals"]["W"]["net"]["0.5"]
    alone = [points(name)["signals"]["W"]["net"]["0.5"] for name in "abc"]
    assert found["signal"] == alone[2]["signal"]
    for number in ("performance", "resilience"):
        values = [one[number]["value"] for one in alone]
        assert found[number]["value"] == values[2]
        assert found[number]["spread"] == pytest.approx(np.std(values, ddof=1))
    few = parse_models([f"net:{paths('second', 'ab')}"])
    with pytest.raises(ConfigError, match="'net' has 3 trainings and 2 trainings there"):
        pair_by_name(parse_models([f"net:{paths('first', 'abc')}"]), few)


def test_each_of_several_signals_has_its_resilience(tmp_path, write):
    classes = ["W", "QCD", "top"]
    first = write(tmp_path / "first.parquet", classes, seed=1, strength=2.0, jet_pt=None)
    second = write(tmp_path / "second.parquet", classes, seed=2, strength=1.5, jet_pt=None)
    options = ReportOptions(
        predictions=[f"net:{first}"],
        shifted=[f"net:{second}"],
        signal=["top", "W"],
        output=str(tmp_path / "out"),
    )
    run_report(options)
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(content["shifted"]["signals"]) == ["top", "W"]
    assert (tmp_path / "out" / "resilience_top.png").exists()
    assert "of top pass, against the rest" in (tmp_path / "out" / "report.html").read_text()


def test_a_second_sample_of_other_classes_names_or_scores_is_refused(tmp_path, write):
    first = write(tmp_path / "first.root", ["W", "QCD"], entries=20)
    other = write(tmp_path / "other.root", ["top", "QCD"], entries=20)

    def report(*shifted):
        run_report(
            ReportOptions(
                predictions=[f"net:{first}"],
                shifted=list(shifted),
                output=str(tmp_path / "out"),
            )
        )

    with pytest.raises(DataError, match=r"other\.root: its classes are top, QCD; those of .*first"):
        report(f"net:{other}")
    with pytest.raises(ConfigError, match=r"--shifted .*no model 'first' .*; known: net"):
        report(str(first))
    with pytest.raises(ConfigError, match="two models are called 'net'"):
        report(f"net:{first}", f"net:{other}")
    assert not (tmp_path / "out").exists()
