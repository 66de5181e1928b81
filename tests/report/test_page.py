"""Cells of the page, by hand."""

import re

import numpy as np
import pytest

from weaver_tt.metrics.direction import Direction
from weaver_tt.output.about import NetworkCost
from weaver_tt.report.evaluation import evaluate_model, headline_metrics
from weaver_tt.report.page import html_table, mark_best, plus_minus, report_page
from weaver_tt.report.scores import ModelFiles


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"value": 0.98765, "error": 0.00123}, "0.9877 ± 0.0012"),
        ({"value": 1234.5, "error": 56.0}, "1234 ± 56"),
        ({"value": 1.5, "error": 0.0}, "1.5"),
        ({"value": None, "error": None}, "–"),
        ({"value": None, "error": None, "at_least": 33.4}, "&gt; 33.4"),
    ],
)
def test_numbers_have_two_digits_of_their_error(number, text):
    assert plus_minus(number).replace('<span class="e">', "").replace("</span>", "") == text


def test_cells_may_bring_their_own_tag():
    html = html_table(["", "x"], [["row", "<td class=best>1</td>"], ["other", "2"]])
    assert html.count("<td") == 2
    assert "<th>row</th><td class=best>1</td>" in html


@pytest.mark.parametrize(("direction", "best"), [("max", 2), ("min", 0), ("zero", 1)])
def test_the_best_is_marked_whatever_is_better(direction, best):
    cells = mark_best([-3.0, 1.0, 2.0], ["a", "b", "c"], Direction(direction))
    assert [" class=best" in cell for cell in cells] == [place == best for place in range(3)]


def test_nothing_is_best_alone_nor_where_a_value_is_unknown():
    unmarked = ["<td>a</td>", "<td>b</td>"]
    assert mark_best([1.0], ["a"], Direction.MAX) == unmarked[:1]
    assert mark_best([1.0, None], ["a", "b"], Direction.MAX) == unmarked
    assert mark_best([1.0, 2.0], ["a", "b"], None) == unmarked


def test_the_report_marks_the_largest_area_and_the_smallest_calibration_error(tmp_path, write):
    true = {"top": np.array([1, 1, 0, 0] * 5), "qcd": np.array([0, 0, 1, 1] * 5)}
    scores = {
        # never wrong, but 90 % and 60 % sure: errors of 0.1 and 0.4
        "right": np.array([0.9, 0.6, 0.4, 0.1] * 5),
        # wrong in one of four cases, and 76 % sure of all four
        "honest": np.array([0.75, 0.77, 0.76, 0.24] * 5),
    }
    models = {}
    for name, score in scores.items():
        columns = {"score_top": score, "score_qcd": 1 - score} | true
        path = write(tmp_path / f"{name}.parquet", ["top", "qcd"], entries=20, **columns)
        source = ModelFiles(name=name, paths=(str(path),))
        models[name] = evaluate_model(source, ["top", "qcd"], None).metrics()
    errors = {name: model["calibration"]["expected_error"] for name, model in models.items()}
    assert errors == {"right": pytest.approx(0.25), "honest": pytest.approx(0.01)}
    content = {"classes": ["top", "qcd"], "signals": ["top"], "models": models, "differences": {}}
    numbers = {name: headline_metrics(model, ["top"]) for name, model in models.items()}
    page = report_page(content, numbers, [], {name: [] for name in models})
    best = re.findall("<td class=best>([^<]*)", page)
    assert best == ["1", "1", "0.0100"]
    assert "<th>honest</th><td class=best>0.0100</td>" in page


def test_costs_have_a_row_for_each_model_and_a_dash_for_what_is_not_known(tmp_path, write):
    # 10 signal rows; 3 of 10 pass 0.75, and with them 2 of 10 background rows: rejection 5
    score = np.repeat([0.9, 0.3, 0.9, 0.2], [3, 7, 2, 8])
    true = np.repeat([1, 0], 10)
    columns = {"score_top": score, "score_qcd": 1 - score, "top": true, "qcd": 1 - true}
    small = NetworkCost(parameters=1000, flops_per_row=2e4, single_row_seconds=4e-6)
    models = {}
    for name, network in (("small", small), ("large", NetworkCost(parameters=5000)), ("old", None)):
        path = write(
            tmp_path / f"{name}.root", ["top", "qcd"], entries=20, network=network, **columns
        )
        source = ModelFiles(name=name, paths=(str(path),))
        models[name] = evaluate_model(source, ["top", "qcd"], None).metrics()
    ant = models["small"]["ant"]["top"]
    assert ant["value"] == pytest.approx(5 / 1000)
    assert ant["error"] == pytest.approx(
        models["small"]["rejection"]["0.3"]["one_vs_rest"]["top"]["error"] / 1000
    )
    assert models["large"]["ant"]["top"]["value"] == pytest.approx(5 / 5000)
    assert models["old"]["ant"]["top"] == {"value": None, "error": None}
    content = {"classes": ["top", "qcd"], "signals": ["top"], "models": models, "differences": {}}
    numbers = {name: headline_metrics(model, ["top"]) for name, model in models.items()}
    page = report_page(content, numbers, [], {name: [] for name in models})
    table = page.partition("<h2>Size and speed</h2>")[2].partition("</table>")[0]
    # as what the ant factor divides by
    assert "<th>trainable parameters</th>" in table
    rows = re.findall("<tr><th>(?:small|large|old)</th>(.*?)</tr>", table)
    cells = [re.findall("<td[^>]*>(.*?)</td>", row) for row in rows]
    assert cells[0][:6] == ["1,000", "20,000", "–", "–", "–", "0.004"]
    assert cells[1][:2] == ["5,000", "–"]
    assert cells[2] == ["–"] * 7
