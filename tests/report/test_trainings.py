"""Trainings of one network: which one is reported, and how far they lie apart."""

import json
import math

import numpy as np
import pytest

from weaver_tt import cli
from weaver_tt.errors import DataError
from weaver_tt.pages.cells import number_cell
from weaver_tt.report.evaluation import metric_differences
from weaver_tt.report.figures import ReportPictures
from weaver_tt.report.scores import parse_models
from weaver_tt.report.trainings import evaluate_trainings

CLASSES = ["top", "qcd"]
TRUE = np.repeat([1, 0], 10)


def write_training(write, path, right, rows=20):
    """Predictions of 10 top and 10 qcd jets, of which the first ``right`` are right."""
    true = TRUE[:rows]
    is_right = np.arange(rows) < right
    score = np.where(is_right == true, 0.8, 0.3)
    columns = {"score_top": score, "score_qcd": 1 - score, "top": true, "qcd": 1 - true}
    return str(write(path, CLASSES, entries=rows, **columns))


def network(write, folder, *right):
    paths = [write_training(write, folder / f"{one}.root", one) for one in right]
    (source,) = parse_models([f"net:{','.join(paths)}"])
    return evaluate_trainings(source, CLASSES, None)


def test_of_three_trainings_the_median_is_reported_with_their_standard_deviation(tmp_path, write):
    trained = network(write, tmp_path, 18, 12, 16)
    assert trained.median.source.paths == (f"{tmp_path}/16.root",)
    accuracy = trained.headlines(["top"])["accuracy"]
    assert accuracy["value"] == pytest.approx(0.8)
    assert accuracy["error"] == pytest.approx(math.sqrt(0.8 * 0.2 / 20))
    # 0.9, 0.6 and 0.8 deviate from 0.7667 by 0.1333, -0.1667 and 0.0333
    assert accuracy["spread"] == pytest.approx(math.sqrt(0.0466667 / 2), rel=1e-4)
    assert number_cell(accuracy).detail == "± 0.089 ± 0.15 (3 trainings)"
    details = trained.metrics()["trainings"]
    assert details["accuracy"] == pytest.approx([0.9, 0.6, 0.8])
    assert details["files"] == [[f"{tmp_path}/{name}.root"] for name in (18, 12, 16)]


def test_of_four_trainings_it_is_the_lower_of_the_two_in_the_middle(tmp_path, write):
    assert network(write, tmp_path, 18, 12, 16, 14).median.source.paths[0].endswith("/14.root")
    assert network(write, tmp_path, 18, 12).median.source.paths[0].endswith("/12.root")


def test_one_training_has_no_spread(tmp_path, write):
    alone = network(write, tmp_path, 16)
    assert "trainings" not in alone.metrics()
    assert "spread" not in alone.headlines(["top"])["accuracy"]


def test_a_number_that_one_training_lacks_has_no_spread(tmp_path, write):
    # no background passes where nothing is wrong
    rejection = network(write, tmp_path, 20, 16, 12).headlines(["top"])["rejection at 30 % of top"]
    assert rejection["spread"] is None
    assert "trainings" not in number_cell(rejection).detail


def test_a_difference_has_the_spreads_of_both(tmp_path, write):
    accuracy = network(write, tmp_path, 18, 12, 16).headlines(["top"])["accuracy"]
    other = {"value": 0.7, "error": 0.1}
    (found,) = metric_differences({"accuracy": accuracy}, {"accuracy": other}).values()
    assert found["value"] == pytest.approx(0.1)
    variance = 0.8 * 0.2 / 20 + 0.1**2 + 0.0466667 / 2
    assert found["error"] == pytest.approx(math.sqrt(variance), rel=1e-4)


def test_trainings_on_other_rows_are_refused(tmp_path, write):
    first = write_training(write, tmp_path / "first.root", 16)
    fewer = write_training(write, tmp_path / "fewer.root", 16, rows=18)
    (source,) = parse_models([f"net:{first},{fewer}"])
    message = r"fewer\.root: has 10 top, 8 qcd; .*first\.root has 10 top, 10 qcd: trainings of net"
    with pytest.raises(DataError, match=message):
        evaluate_trainings(source, CLASSES, None)


def test_a_report_shows_the_median_training_beside_another_model(tmp_path, write, monkeypatch):
    monkeypatch.setattr("weaver_tt.report.figures.draw_report", lambda *anything: ReportPictures())
    monkeypatch.chdir(tmp_path)
    for right in (18, 12, 16, 13):
        write_training(write, tmp_path / f"{right}.root", right)
    assert cli.main(["report", "net:18.root,12.root,16.root", "13.root", "-o", "out"]) == 0
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["models"]["net"]["files"] == ["16.root"]
    assert content["differences"]["13"]["accuracy"]["value"] == pytest.approx(-0.15)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "16.root<br>the median of 3 trainings" in page
