"""Metrics of classification against numbers worked out by hand and by counting."""

import math

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.metrics import classification
from weaver_tt.metrics.classification import ClassificationMeter

NAMES = ["a", "b", "c"]


def random_scores(entries, classes, seed=1):
    """Probabilities (entries, classes) and classes with some separation."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(classes, (entries,), generator=generator)
    logits = torch.randn(entries, classes, generator=generator) + 1.5 * torch.nn.functional.one_hot(
        target, classes
    )
    return logits.softmax(1), target


def test_accuracy_by_hand(scored, read):
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    assert read(
        ClassificationMeter(["a", "b"]),
        scored(probabilities, [0, 1, 1, 1], weight=[1.0, 1.0, 2.0, 1.0]),
    )["accuracy"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("classes", [2, 3])
def test_areas_equal_counting_pairs(scored, classes):
    output, target = random_scores(600, classes)
    meter = ClassificationMeter(NAMES[:classes], half=8000)
    meter.update(scored(output, target), None)
    summary = meter.summarize(meter.totals())
    for k in range(classes):
        own, rest = output[target == k, k], output[target != k, k]
        assert float(summary.against_rest.area[k]) == pytest.approx(
            float((own[:, None] > rest).double().mean()), abs=2e-4
        )
        for other in {*range(classes)} - {k}:
            pair = output[:, k] / (output[:, k] + output[:, other])
            expected = (pair[target == k][:, None] > pair[target == other]).double().mean()
            assert float(summary.against_each.area[k, other]) == pytest.approx(
                float(expected), abs=2e-4
            )


def test_areas_and_rejections_are_those_of_sklearn(scored, read):
    metrics = pytest.importorskip("sklearn.metrics")
    output, target = random_scores(5000, 3)
    values = read(ClassificationMeter(NAMES), scored(output, target))
    assert values["auc"] == pytest.approx(
        metrics.roc_auc_score(
            target, output.double() / output.double().sum(1, keepdim=True), multi_class="ovr"
        ),
        abs=1e-4,
    )
    false, true, _ = metrics.roc_curve(target == 1, output[:, 1], drop_intermediate=False)
    assert values["rejection@0.5_b"] == pytest.approx(1 / np.interp(0.5, true, false), rel=0.02)
    assert values["accuracy"] == pytest.approx(metrics.accuracy_score(target, output.argmax(1)))


def test_two_classes_have_the_rejection_of_the_second_by_the_first(scored, read):
    scores = torch.linspace(0.01, 0.99, 99)
    output = torch.stack([scores, 1 - scores], 1)
    target = (
        scores < 0.5
    ).long()  # perfect but for ten of the second class with the highest scores
    target[-10:] = 1
    values = read(ClassificationMeter(["signal", "background"]), scored(output, target))
    assert list(values) == [
        "accuracy",
        "auc",
        "rejection@0.3",
        "rejection@0.5",
        "rejection@0.7",
        "calibration_error",
    ]
    assert values["rejection@0.5"] == pytest.approx(59 / 10)  # 49 below and 10 above


def test_equal_scores_are_half_a_win(scored, read):
    assert (
        read(ClassificationMeter(["a", "b"]), scored([[0.5, 0.5]] * 4, [0, 0, 1, 1]))["auc"] == 0.5
    )
    values = read(ClassificationMeter(NAMES), scored([[1 / 3] * 3] * 3, [0, 1, 2]))
    assert (values["auc"], values["auc_ovo"]) == (0.5, 0.5)


def test_scores_next_to_one_are_told_apart(scored, read):
    output = torch.tensor(
        [[1.0, 1e-12], [1.0, 1e-10], [1.0, 1e-9], [1.0, 1e-8]]
    )  # all the same float32 score of the first class
    assert read(ClassificationMeter(["a", "b"]), scored(output, [0, 0, 1, 1]))["auc"] == 1.0


def test_several_classes_have_values_each(scored, read):
    values = read(
        ClassificationMeter(NAMES),
        scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0, 1, 2]),
    )
    areas = {"auc": 1.0, "auc_ovo": 1.0, "auc_a": 1.0, "auc_b": 1.0, "auc_c": 1.0}
    rejections = {
        f"rejection@{point}_{name}": math.inf for point in (0.3, 0.5, 0.7) for name in NAMES
    }
    assert values == {"accuracy": 1.0, "calibration_error": pytest.approx(0.2)} | areas | rejections


def test_a_class_that_never_occurs_does_not_spoil_the_mean_area(scored, read):
    values = read(
        ClassificationMeter(["a", "b", "never"]), scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], [0, 1])
    )
    assert values["auc"] == values["auc_ovo"] == 1.0
    assert math.isnan(values["auc_never"])


def test_calibration_error_by_hand(scored, read):
    output = [[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2
    values = read(ClassificationMeter(["a", "b"]), scored(output, [0, 0, 0, 1, 1, 0]))
    assert values["calibration_error"] == pytest.approx(
        (4 * abs(0.9 - 0.75) + 2 * abs(0.6 - 0.5)) / 6
    )


def test_batches_that_were_held_back_count_in_totals(scored, monkeypatch):
    output, target = random_scores(100, 3)
    whole, parts = ClassificationMeter(NAMES), ClassificationMeter(NAMES)
    whole.update(scored(output, target), None)
    monkeypatch.setattr(classification, "ENTRIES_AT_ONCE", 30)
    for first in range(0, 100, 7):
        parts.update(scored(output[first : first + 7], target[first : first + 7]), None)
    torch.testing.assert_close(parts.totals(), whole.totals())


def test_a_batch_whose_buffers_are_reused_counts_as_it_was(scored):
    meter, target = ClassificationMeter(["a", "b"]), tensor([0])
    meter.update(scored([[0.9, 0.1]], target), None)
    target.fill_(1)
    assert meter.values(meter.totals())["accuracy"] == 1.0


def test_many_classes_have_coarser_bins():
    assert ClassificationMeter(NAMES).half == 511
    meter = ClassificationMeter([str(k) for k in range(188)])
    assert len(meter.totals()) < 8e6


def test_the_calibration_counts_by_weight(scored):
    # of weight 3 + 1 at a confidence of 0.9, 3 are right; of weight 2 at 0.6, all are
    meter = ClassificationMeter(["a", "b"])
    output = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]
    meter.update(scored(output, [0, 1, 1], weight=[3.0, 1.0, 2.0]), None)
    details = meter.details(meter.totals())["calibration"]
    assert details["expected_error"] == pytest.approx((abs(3.6 - 3) + abs(1.2 - 2)) / 6)
    low, high = details["confidence"]
    assert low == pytest.approx(
        {"sum_of_weights": 2, "confidence": 0.6, "accuracy": 1, "effective": 1}
    )
    # (3 + 1)^2 / (9 + 1) = 1.6 entries
    assert high == pytest.approx(
        {"sum_of_weights": 4, "confidence": 0.9, "accuracy": 0.75, "effective": 1.6}
    )


def test_batches_that_were_held_back_are_forgotten_when_sums_are_restored(scored):
    meter, other = ClassificationMeter(["a", "b"]), ClassificationMeter(["a", "b"])
    meter.update(scored([[0.9, 0.1]], [0]), None)
    other.update(scored([[0.2, 0.8]] * 3, [0, 1, 1]), None)
    meter.restore(other.totals())
    assert torch.equal(meter.totals(), other.totals())


def test_held_entries_are_added_as_soon_as_there_are_enough(scored, monkeypatch):
    monkeypatch.setattr(classification, "ENTRIES_AT_ONCE", 4)
    meter = ClassificationMeter(["a", "b"])
    added = []
    monkeypatch.setattr(meter, "_add", lambda output, *_: added.append(len(output)))
    for _ in range(5):
        meter.update(scored([[0.9, 0.1]] * 2, [0, 0]), None)
    assert added == [4, 4]


def test_bins_are_never_so_coarse_that_a_curve_is_lost():
    assert ClassificationMeter([str(k) for k in range(188)]).half == 16
