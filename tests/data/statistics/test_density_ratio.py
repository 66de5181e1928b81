"""Sums of weights of two samples, and samples that have no ratio."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.statistics.density_ratio import DensityRatioAccumulator, uncovered_share
from weaver_tt.errors import DataError


def config(loss="bce", labels=None, group=None):
    values = {
        "inputs": {"jets": group or {"length": None, "vars": [["x", 3, 0.1]]}},
        "labels": labels or {"type": "simple", "value": ["data", "mc"]},
        "event_weight": "w",
        "task": {"name": "density_ratio", "numerator": "data", "loss": loss},
    }
    return from_mapping(values, "r.yaml")


def table(data, w, x=None):
    data = np.array(data)
    x = np.arange(len(data)) if x is None else x
    return {
        "data": data,
        "mc": 1 - data,
        "w": np.array(w, dtype=float),
        "x": np.asarray(x, dtype=float),
    }


def fitted(*tables, batch_size=None, **more):
    accumulator = DensityRatioAccumulator(config(**more), batch_size=batch_size)
    for each in tables:
        accumulator.add(each, len(each["w"]), "a.root")
    return accumulator.result()


def test_weights_are_added_up_by_class():
    options = fitted(table([1, 0, 0], [2, 1, 1]), table([1, 0], [-0.5, 3]))
    assert options.sums == {"data": 1.5, "mc": 5}
    # 2.25 / (4 + 0.25) and 25 / (1 + 1 + 9)
    assert options.sizes == pytest.approx({"data": 9 / 17, "mc": 25 / 11})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            table([1, 1], [1, 1]),
            "no row of the training data is of 'mc', and 2 of 'data': a ratio",
        ),
        (table([0, 0], [1, 1]), "no row of the training data is of 'data', and 2 of 'mc'"),
        (table([1, 0, 0], [1, 1, -1]), "weights of 'mc' add up to 0 over 2 rows"),
        (table([1, 1, 0], [1, -2, 1]), "weights of 'data' add up to -1 over 2 rows"),
    ],
)
def test_a_sample_without_weight_is_refused(rows, message):
    with pytest.raises(DataError, match=message):
        fitted(rows)


def test_objects_have_the_weight_of_their_row_as_far_as_the_network_sees_them():
    labels = {"type": "per_object", "value": {"data": "a", "mc": "b"}}
    accumulator = DensityRatioAccumulator(
        config(labels=labels, group={"length": 2, "vars": [["x", None]]})
    )
    rows = {
        # the third object of the first row is beyond the length, the second of neither sample
        "a": ak.Array([[1, 0, 1], [0]]),
        "b": ak.Array([[0, 0, 0], [1]]),
        "x": ak.Array([[1.0, 2, 3], [4]]),
        "w": np.array([2.0, 3.0]),
    }
    accumulator.add(rows, 2, "a.root")
    assert accumulator.result().sums == {"data": 2, "mc": 3}
    with pytest.raises(DataError, match=r"a\.root: labels data and mc: 1 object of jets are of b"):
        accumulator.add({**rows, "b": ak.Array([[1, 0, 0], [1]])}, 2, "a.root")


def test_what_the_denominator_does_not_cover_is_warned_of(caplog):
    # of the 1000 of data, 250 lie above all of mc
    x = np.concatenate([np.linspace(0, 4, 1000), np.linspace(0, 3, 1000)])
    fitted(table(np.repeat([1, 0], 1000), np.ones(2000), x))
    assert "25.0 % of data have a 'x' where mc has nothing" in caplog.text


def test_tails_beyond_a_small_denominator_are_no_lack_of_support(caplog):
    # 3 % of data lie beyond the 100 of mc, which the tails of one shape may: 2 / 100 on average
    x = np.concatenate([np.linspace(-0.015, 1.015, 1031), np.linspace(0, 1, 100)])
    is_data = np.repeat([1, 0], [1031, 100])
    fitted(table(is_data, np.ones(1131), x))
    assert "where mc has nothing" not in caplog.text
    # 3 % beyond 1000 are too many
    x = np.concatenate([np.linspace(-0.015, 1.015, 1031), np.linspace(0, 1, 1000)])
    is_data = np.repeat([1, 0], [1031, 1000])
    fitted(table(is_data, np.ones(2031), x))
    assert "3.0 % of data have a 'x' where mc has nothing" in caplog.text


def test_a_hole_in_the_denominator_is_found():
    random = np.random.default_rng(1)
    whole = random.uniform(0, 10, 20_000)
    split = whole[(whole < 4) | (whole > 5)]
    assert uncovered_share(whole, whole) == 0
    # of bins of a fiftieth, those at the ends of the hole are not empty
    assert uncovered_share(whole, split) == pytest.approx(0.1, abs=0.041)
    assert uncovered_share(split, whole) < 0.001
    assert uncovered_share(whole, whole + 20) == 1


def test_batches_that_are_too_small_are_warned_of(caplog):
    rows = table(np.tile([1, 0, 1, 0], 100), np.tile([1, 2, 1, -1], 100))
    fitted(rows, batch_size=60)
    # 15 rows with 2 and 15 with -1: the root of 15 * 4 + 15 * 1 is the standard deviation, and
    # five of them need (5 / 1.73)^2 = 8.3 times as many rows
    assert "the weights of mc add up to 15 ± 8.66." in caplog.text
    assert "use --batch-size 500" in caplog.text
    # 30 rows with 1, 30 +- 5.5
    assert "weights of data" not in caplog.text


def test_sums_of_other_files_are_those_of_a_network_that_goes_on_alone():
    def options(**found):
        given = config()
        return replace(given, density_ratio=replace(given.density_ratio, **found))

    accumulator = DensityRatioAccumulator(config())
    sums = {"data": 3.0, "mc": 4.0}
    same = options(sums=sums, fingerprint=accumulator.fingerprint)
    assert accumulator.find_fitted(same, "net.auto.yaml").sums == sums
    other = options(sums=sums, fingerprint="of-others")
    assert accumulator.find_fitted(other, "net.auto.yaml") is None
    assert accumulator.find_fitted(other, "net.auto.yaml", keep=True).sums == sums
    assert accumulator.find_fitted(config(), "net.auto.yaml", keep=True) is None
