"""Sums of metrics that make the best epoch."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.metrics.combination import is_sum, parse_combination
from weaver_tt.metrics.direction import Direction, metric_direction

KNOWN = ["auc", "loss", "bias", "rejection@0.5_Z-jets", "sculpting@0.5", "odd - name"]


def parse(text):
    return parse_combination(text, KNOWN, "--watch")


def test_a_sum_is_computed_from_its_terms():
    found = parse("auc - 0.5*sculpting@0.5 + 1e-2 * loss")
    assert found.terms == ((1.0, "auc"), (-0.5, "sculpting@0.5"), (0.01, "loss"))
    # 0.9 - 0.1 + 0.003
    metrics = {"auc": 0.9, "sculpting@0.5": 0.2, "loss": 0.3}
    assert found.value(metrics) == pytest.approx(0.803)
    assert found.value({"auc": 0.9}) is None


def test_names_with_signs_in_them_stay_whole():
    assert parse("odd - name").terms == ((1.0, "odd - name"),)
    assert parse("auc + 0.1*rejection@0.5_Z-jets").names == ["auc", "rejection@0.5_Z-jets"]
    assert parse("-1*loss").terms == ((-1.0, "loss"),)
    assert not is_sum("rejection@0.5_Z-jets")
    assert is_sum("auc - loss")


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("auc - 0.5*loss", Direction.MAX),
        ("loss - 2*auc", Direction.MIN),
        ("2*auc", Direction.MAX),
        ("-1*auc", Direction.MIN),
        ("bias", Direction.ZERO),
        ("auc + loss", None),
        ("auc - 0*loss", None),
        ("auc - bias", None),
    ],
)
def test_a_sum_is_best_where_all_of_its_terms_are(text, direction):
    assert parse(text).direction(metric_direction) == direction


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auk", "--watch: there is no metric 'auk'; did you mean 'auc'"),
        ("auc - 0.5*sculptin@0.5", "no metric 'sculptin@0.5'; did you mean 'sculpting@0.5'"),
        ("auc - ", "'auc - ' is no sum of metrics"),
        ("auc - 0.5 loss", "'auc - 0.5 loss' is no sum of metrics"),
        ("", "'' is no sum of metrics"),
    ],
)
def test_what_is_no_sum_is_answered(text, message):
    with pytest.raises(ConfigError, match=message.replace("*", r"\*")):
        parse(text)
