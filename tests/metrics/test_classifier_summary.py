"""What follows from the histograms of a classifier."""

import json
import math

import pytest
import torch

from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.classifier_summary import json_number, nested_lists

NAMES = ["a", "b", "c"]
OUTPUT = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]]


def summarize(scored, output, target, weight=None, names=NAMES):
    """The summary of these entries."""
    meter = ClassificationMeter(names)
    meter.update(scored(output, target, weight), None)
    return meter.summarize(meter.totals())


def test_the_accuracys_error_is_binomial_with_the_effective_number_of_entries(scored):
    # 36 / 12 = 3 effective entries
    summary = summarize(scored, OUTPUT, [0, 1, 2, 1], weight=[3.0, 1.0, 1.0, 1.0])
    value, error = summary.accuracy
    assert value == pytest.approx(5 / 6)
    assert error == pytest.approx(math.sqrt(5 / 6 * 1 / 6 / 3))
    assert summary.effective_entries.tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("names", [["a", "b"], NAMES])
def test_errors_have_the_names_of_their_metrics_and_are_those_of_the_details(scored, names):
    output = [row[: len(names)] for row in OUTPUT]
    summary = summarize(scored, output, [0, 1, len(names) - 1, 1], names=names)
    errors = summary.errors()
    details = summary.details()
    assert errors.keys() == summary.values().keys() - {"calibration_error"}
    assert errors["accuracy"] == details["accuracy"]["error"]
    assert json_number(0.0, errors["auc"])["error"] == details["auc"]["mean_one_vs_rest"]["error"]
    of_first = details["rejection"]["0.5"]["one_vs_rest"]["a"]["error"]
    name = "rejection@0.5" if len(names) == 2 else "rejection@0.5_a"
    assert json_number(0.0, errors[name])["error"] == of_first


def test_what_is_divided_by_weights_that_sum_to_zero_is_not_defined(scored):
    # classes a and b weigh +2 and -2, and c nothing in all: each single metric has its own zero
    output = [*OUTPUT, [0.1, 0.6, 0.3]]
    summary = summarize(scored, output, [0, 1, 2, 0, 2], weight=[1.0, -2.0, 1.0, 1.0, -1.0])
    values = summary.values()
    assert all(math.isnan(values[name]) for name in ("accuracy", "calibration_error", "auc_c"))
    assert not any(math.isinf(value) for name, value in values.items() if "rejection" not in name)
    # a: 2^2 / (1 + 1) entries, b: 2^2 / 2^2, c: 0^2 / (1 + 1)
    assert summary.effective_entries.tolist() == [2.0, 1.0, 0.0]


def test_details_are_json_with_a_number_and_error_for_all_pairs(scored):
    details = json.loads(
        json.dumps(summarize(scored, OUTPUT, [0, 1, 2, 1]).details(), allow_nan=False)
    )
    assert details["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert details["auc"]["one_vs_one"].keys() == set(NAMES)
    assert details["auc"]["one_vs_one"]["a"].keys() == {"b", "c"}
    assert details["auc"]["one_vs_one"]["a"]["b"] == details["auc"]["one_vs_one"]["b"]["a"]
    assert details["auc"]["one_vs_one"]["a"]["b"]["value"] == 1.0  # 0.89 against 0.22 and 0.67
    assert details["entries"]["b"] == {"sum_of_weights": 2.0, "effective": 2.0}


def test_of_many_classes_pairs_are_of_those_that_are_asked_for_and_numbers_as_of_few(scored):
    # three classes of thirteen have scores and entries: what the other ten get changes no pair
    places = [0, 5, 12]
    names = [f"c{number}" for number in range(13)]
    output = [[0.0] * 13 for _ in OUTPUT]
    for wide, row in zip(output, OUTPUT, strict=True):
        for place, score in zip(places, row, strict=True):
            wide[place] = score
    many = summarize(scored, output, [0, 5, 12, 5], names=names).details(["c12", "c5"])
    few = summarize(scored, OUTPUT, [0, 1, 2, 1], names=["c0", "c5", "c12"]).details()
    for of_many, of_few in (
        (many["auc"], few["auc"]),
        (many["rejection"]["0.5"], few["rejection"]["0.5"]),
    ):
        assert of_many["one_vs_one"] == {
            "c5": {"c12": of_few["one_vs_one"]["c5"]["c12"]},
            "c12": {"c5": of_few["one_vs_one"]["c12"]["c5"]},
        }
        assert of_many["one_vs_rest"].keys() == set(names)


def test_a_rejection_without_background_is_a_lower_limit(scored):
    details = summarize(scored, OUTPUT, [0, 1, 2, 1]).details()
    assert details["rejection"]["0.5"]["one_vs_rest"]["c"] == {
        "value": None,
        "error": None,
        "at_least": pytest.approx(3 / -math.log(0.05)),
    }  # e^-2.996 = 5 %


def test_rejections_of_pairs_name_signal_then_background(scored):
    output = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]
    details = summarize(scored, output, [0, 0, 1, 1], names=["a", "b"]).details()
    pairs = details["rejection"]["0.7"]["one_vs_one"]
    assert pairs["a"]["b"]["value"] is None  # no b above both a
    assert pairs["b"]["a"]["value"] is None
    details = summarize(scored, output, [0, 1, 0, 1], names=["a", "b"]).details()
    mixed = details["rejection"]["0.7"]["one_vs_one"]
    assert mixed["a"]["b"]["value"] == pytest.approx(2.0)


def test_reliability_counts_the_class_in_bins_of_its_score(scored):
    sums = summarize(scored, OUTPUT, [0, 1, 2, 1], weight=[2.0, 1.0, 1.0, 1.0]).reliability(
        0, bins=2
    )
    assert sums[0].tolist() == [2.0, 3.0]
    assert sums[2].tolist() == [0.0, 2.0]  # of a: only the first
    assert sums[3].tolist() == [2.0, 5.0]
    assert sums[1].tolist() == pytest.approx([0.3, 2 * 0.8 + 0.6], abs=0.01)


def test_nested_keeps_the_shape():
    assert nested_lists(lambda a, b: a + b, torch.ones(2, 3), torch.ones(2, 3)) == [[2.0] * 3] * 2
    assert json_number(math.inf, math.nan) == {"value": None, "error": None}


def test_an_accuracy_above_one_has_no_error(scored):
    # negative weights: 2 of 1.5 are right
    summary = summarize(scored, [[0.9, 0.1]] * 2, [0, 1], weight=[2.0, -0.5], names=["a", "b"])
    assert summary.accuracy == (pytest.approx(4 / 3), 0.0)


def test_the_mean_area_of_pairs_leaves_out_each_class_against_itself(scored):
    # each class is above each other: 1, where a class against itself would be a half
    summary = summarize(scored, OUTPUT, [0, 1, 2, 1])
    assert summary.values()["auc_ovo"] == 1.0
    assert summary.details()["auc"]["mean_one_vs_one"]["value"] == 1.0


def test_an_accuracy_of_weights_that_cancel_is_unknown(scored):
    summary = summarize(scored, [[0.9, 0.1]] * 2, [0, 1], weight=[1.0, -1.0], names=["a", "b"])
    value, error = summary.accuracy
    assert not math.isfinite(value)
    assert math.isnan(error)


def test_a_score_belongs_to_the_bin_that_it_lies_in_and_not_to_the_nearest_edge(scored):
    summary = summarize(scored, [[0.3, 0.7], [0.8, 0.2]], [0, 0], names=["a", "b"])
    assert summary.reliability(0, bins=2)[0].tolist() == [1.0, 1.0]


def test_areas_have_their_own_errors_and_pairs_that_of_signal_and_background(scored):
    # one a beats two of three b: its error comes from the b alone, 2/3 * 1/3 / 3
    output = [[0.6, 0.4], [0.3, 0.7], [0.4, 0.6], [0.8, 0.2]]
    areas = summarize(scored, output, [0, 1, 1, 1], names=["a", "b"]).details()["auc"]
    expected = {"value": pytest.approx(2 / 3), "error": pytest.approx(math.sqrt(2 / 27))}
    assert areas["one_vs_rest"] == {"a": expected, "b": expected}
    assert areas["one_vs_one"] == {"a": {"b": expected}, "b": {"a": expected}}
