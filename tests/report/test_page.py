"""The page of classifiers: which numbers stand where."""

import re

import numpy as np
import pytest

from tests.pages.reading import table_of
from weaver_tt.output.about import NetworkCost
from weaver_tt.report.evaluation import evaluate_model, headline_metrics
from weaver_tt.report.figures import ReportPictures
from weaver_tt.report.page import report_page
from weaver_tt.report.scores import ModelFiles


def page_of(models, classes, signals, names=None):
    """The page of models' metrics, without figures."""
    content = {"classes": classes, "signals": signals, "models": models, "differences": {}}
    numbers = {name: headline_metrics(model, signals) for name, model in models.items()}
    return report_page(
        content | {"names": names or {}}, numbers, ReportPictures(), {name: [] for name in models}
    )


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
    content = {
        "classes": ["top", "qcd"],
        "signals": ["top"],
        "models": models,
        "differences": {},
        "names": {},
    }
    numbers = {name: headline_metrics(model, ["top"]) for name, model in models.items()}
    page = report_page(content, numbers, ReportPictures(), {name: [] for name in models})
    best = re.findall('<td class="best">([^<]*)', page)
    # accuracy and AUC of all, AUC against the only background, calibration
    assert best == ["1", "1", "1", "0.0100"]
    assert table_of(page, "Calibration")[2] == ["honest", "0.0100"]


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
    content = {
        "classes": ["top", "qcd"],
        "signals": ["top"],
        "models": models,
        "differences": {},
        "names": {},
    }
    numbers = {name: headline_metrics(model, ["top"]) for name, model in models.items()}
    page = report_page(content, numbers, ReportPictures(), {name: [] for name in models})
    head, *rows = table_of(page, "Size and speed")
    # as what the ant factor divides by
    assert head[1] == "trainable parameters"
    assert rows[0][:7] == ["small", "1,000", "20,000", "–", "–", "–", "0.004"]
    assert rows[1][:3] == ["large", "5,000", "–"]
    assert rows[2] == ["old", *["–"] * 7]


def test_a_class_has_a_section_with_its_pairs(tmp_path, write):
    classes = ["b", "c", "light"]
    models = {}
    for name, strength in (("weak", 0.5), ("strong", 2.0)):
        path = write(tmp_path / f"{name}.parquet", classes, strength=strength)
        models[name] = evaluate_model(ModelFiles(name=name, paths=(str(path),)), classes, None)
    metrics = {name: model.metrics() for name, model in models.items()}
    content = {
        "classes": classes,
        "signals": ["b", "c"],
        "models": metrics,
        "differences": {},
        "names": {},
    }
    numbers = {name: headline_metrics(one, ["b", "c"]) for name, one in metrics.items()}
    page = report_page(content, numbers, ReportPictures(), {name: [] for name in models})
    of_class = page.partition("<h3>c</h3>")[2].partition("</section>")[0]
    head, weak, strong = table_of(of_class, "AUC")
    assert head == ["", "against b", "against light"]
    area = metrics["strong"]["auc"]["one_vs_one"]["c"]["light"]
    assert strong[2].startswith(f"{area['value']:.3f}")
    assert [row[0] for row in (weak, strong)] == ["weak", "strong"]
    head, weak, strong = table_of(of_class, "Rejection at 50 % of c")
    rejection = metrics["weak"]["rejection"]["0.5"]["one_vs_one"]["c"]["b"]
    assert float(weak[1].split()[0]) == pytest.approx(rejection["value"], rel=0.05)


def test_classes_are_called_what_they_are_named(tmp_path, write):
    path = write(tmp_path / "net.parquet", ["top", "qcd"], entries=60)
    model = evaluate_model(ModelFiles(name="net", paths=(str(path),)), ["top", "qcd"], None)
    names = {"top": r"$t \to bqq$", "qcd": "QCD jet"}
    page = page_of({"net": model.metrics()}, ["top", "qcd"], ["top"], names)
    assert "2 classes: t → bqq, QCD jet" in page
    titles = [row[0] for row in table_of(page, "Performance")]
    assert titles[2:4] == ["AUC of t → bqq", "rejection at 30 % of t → bqq"]
    assert table_of(page, "AUC")[0] == ["", "against QCD jet"]
