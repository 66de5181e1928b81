"""Files give the numbers of arrays; bins and differences by hand."""

import logging
import math

import numpy as np
import pytest

from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.report.evaluation import (
    ColumnBins,
    equal_content,
    evaluate_model,
    headline_metrics,
    metric_differences,
)
from weaver_tt.report.scores import ModelFiles

CLASSES = ["top", "qcd"]


@pytest.fixture(scope="module")
def prediction(tmp_path_factory, write):
    return write(tmp_path_factory.mktemp("evaluation") / "pred.root", CLASSES, entries=2000)


def source(path, **more):
    """A model with one file."""
    return ModelFiles(name="model", paths=(str(path),), **more)


def test_the_area_is_that_of_counting_pairs(prediction):
    model = evaluate_model(source(prediction), CLASSES, None)
    with open_reader(str(prediction)) as reader:
        table = {
            name: np.asarray(column)
            for name, column in reader.read(["score_top", "top"], 0, 2000).items()
        }
    signal, background = (table["score_top"][table["top"] == k] for k in (1, 0))
    expected = (signal[:, None] > background).mean()
    assert model.metrics()["auc"]["one_vs_rest"]["top"]["value"] == pytest.approx(
        expected, abs=1e-4
    )
    assert model.metrics()["rows"] == 2000


def test_bins_are_evaluated_on_their_own_rows(prediction):
    model = evaluate_model(
        source(prediction, bin_column="jet_pt"),
        CLASSES,
        ColumnBins("jet_pt", np.array([500.0, 550.0, 600.0, 700.0])),
    )
    low, high, none = model.metrics()["bins"]["content"]
    assert none is None
    assert (
        sum(entry["effective"] for one in (low, high) for entry in one["entries"].values()) == 2000
    )
    assert (
        low["auc"]["one_vs_rest"]["top"]["value"]
        < high["auc"]["one_vs_rest"]["top"]["value"] - 0.03
    )


def test_places_by_hand():
    values = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, math.nan])
    edges = np.array([0.0, 1.0, 2.0])
    assert ColumnBins("x", edges).find(values).tolist() == [-1, 0, 1, 1, -1, -1]
    assert ColumnBins("x", edges, open=True).find(values).tolist() == [0, 0, 1, 1, 1, -1]


def test_bins_of_equal_content(prediction):
    binning = equal_content(source(prediction, bin_column="jet_pt"), CLASSES, 4)
    assert binning.edges == pytest.approx([500, 525, 550, 575, 600], abs=5)


def test_a_column_without_spread_has_no_bins(tmp_path, write):
    path = write(tmp_path / "pred.root", CLASSES, entries=5, jet_pt=np.ones(5))
    with pytest.raises(DataError, match="'jet_pt' holds one value only; --pt-edges"):
        equal_content(source(path, bin_column="jet_pt"), CLASSES, 3)


def test_weights_count(tmp_path, write):
    columns = {
        "score_top": np.array([0.9, 0.2, 0.1]),
        "score_qcd": np.array([0.1, 0.8, 0.9]),
        "top": np.array([1, 1, 0]),
        "qcd": np.array([0, 0, 1]),
    }
    path = write(tmp_path / "pred.root", CLASSES, entries=3, **columns, w=np.array([3.0, 1.0, 1.0]))
    details = evaluate_model(source(path, weight="w"), CLASSES, None).metrics()
    assert details["accuracy"]["value"] == pytest.approx(4 / 5)
    assert details["entries"]["top"] == {"sum_of_weights": 4.0, "effective": pytest.approx(1.6)}


def test_a_class_without_rows_is_reported_and_one_class_alone_refused(
    tmp_path, write, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    names = ["a", "b", "c"]
    target = {"a": np.array([1, 0, 0]), "b": np.array([0, 1, 1]), "c": np.zeros(3)}
    model = evaluate_model(
        source(write(tmp_path / "pred.root", names, entries=3, **target)), names, None
    )
    assert model.empty_classes == ["c"]
    assert "no row is of class 'c'" in caplog.text
    assert model.metrics()["auc"]["one_vs_rest"]["c"] == {"value": None, "error": None}
    alone = {"a": np.ones(3), "b": np.zeros(3), "c": np.zeros(3)}
    with pytest.raises(
        DataError, match="no row is of class 'b' or 'c': there is nothing to tell apart"
    ):
        evaluate_model(
            source(write(tmp_path / "alone.root", names, entries=3, **alone)), names, None
        )


def test_differences_by_hand():
    first = {"auc": {"value": 0.9, "error": 0.03}, "rejection": {"value": None, "error": None}}
    second = {"auc": {"value": 0.95, "error": 0.04}, "rejection": {"value": 10.0, "error": 1.0}}
    differences = metric_differences(second, first)
    assert differences["auc"] == {"value": pytest.approx(0.05), "error": pytest.approx(0.05)}
    assert differences["rejection"] == {"value": None, "error": None}


def test_the_headline_of_two_classes_is_about_the_signal(prediction):
    details = evaluate_model(source(prediction), CLASSES, None).metrics()
    assert list(headline_metrics(details, ["qcd"])) == [
        "accuracy",
        "AUC of qcd",
        *(f"rejection at {p} % of qcd" for p in (30, 50, 70)),
    ]
