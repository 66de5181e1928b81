"""Sculpting from the sums of an epoch, against sorting and numpy."""

import math

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.divergence import jensen_shannon
from weaver_tt.metrics.sculpting import (
    EFFICIENCIES,
    SculptingMeter,
    correlation,
    passing_shares,
    variable_bins,
)

EDGES = (0.0, 1.0, 2.0, 3.0)
ROWS = 3000


def meter(edges=EDGES, classes=("top", "qcd"), signals=("top",), **more):
    return SculptingMeter("mass", edges, classes, signals, ["qcd"], **more)


def entries(output, target, mass, weight=None):
    mass = torch.as_tensor(mass)
    ones = torch.ones(len(mass))
    return Scored(
        torch.as_tensor(output),
        torch.as_tensor(target),
        ones if weight is None else torch.as_tensor(weight),
        ones,
        monitors={"spectator:mass": mass},
    )


def jets(seed=0):
    """Scores, classes, masses: heavier background has higher scores."""
    random = np.random.default_rng(seed)
    target = np.arange(ROWS) % 2
    mass = np.where(target == 0, random.normal(2.2, 0.3, ROWS), random.uniform(0, 3, ROWS))
    logit = mass - 1.5 + random.normal(0, 1, ROWS) + (target == 0)
    score = 1 / (1 + np.exp(-logit))
    return np.stack([score, 1 - score], 1).astype(np.float32), target, mass.astype(np.float32)


def measured(meter, *batches):
    for batch in batches:
        meter.update(batch, None)
    return meter.values(meter.totals())


def test_the_divergence_is_that_of_sorting():
    output, target, mass = jets()
    found = measured(meter(half=2000), entries(output, target, mass))
    signal = np.sort(output[target == 0, 0])[::-1]
    for efficiency in (0.3, 0.5):
        threshold = signal[int(efficiency * len(signal)) - 1]
        background = target == 1
        every, _ = np.histogram(mass[background], EDGES)
        passing, _ = np.histogram(mass[background & (output[:, 0] >= threshold)], EDGES)
        expected = jensen_shannon(passing.astype(float), every.astype(float))
        assert expected > 0.02
        assert found[f"sculpting@{efficiency}"] == pytest.approx(expected, rel=0.04)
        # (bins - 1) / (8 n ln 2), less for a selection out of a finite number
        chance = 2 / (8 * passing.sum() * math.log(2)) * (1 - passing.sum() / every.sum())
        excess = expected - chance
        assert found[f"sculpting_excess@{efficiency}"] == pytest.approx(excess, rel=0.04)
    of_background = np.corrcoef(output[background, 0], mass[background])[0, 1]
    assert found["correlation"] == pytest.approx(of_background, rel=1e-5)


def test_batches_of_one_class_and_parts_add_up_to_the_whole():
    output, target, mass = jets()
    weight = np.random.default_rng(1).uniform(-0.2, 1, ROWS).astype(np.float32)
    whole = meter()
    whole.update(entries(output, target, mass, weight), None)
    parts = meter()
    for chosen in (target == 0, target == 1):
        part = entries(output[chosen], target[chosen], mass[chosen], weight[chosen])
        parts.update(part, None)
    torch.testing.assert_close(parts.totals(), whole.totals())
    restored = meter()
    restored.restore(whole.totals())
    assert restored.values(restored.totals()) == whole.values(whole.totals())


def test_without_background_or_signal_the_numbers_are_not_known():
    output, target, mass = jets()
    for chosen in (target == 0, target == 1):
        found = measured(meter(), entries(output[chosen], target[chosen], mass[chosen]))
        assert math.isnan(found["sculpting@0.5"])
        assert math.isnan(found["sculpting_excess@0.3"])
    assert measured(meter()) == {}


def test_where_no_background_passes_the_sculpting_counts_as_the_largest():
    output, target, mass = jets()
    output[target == 0] = [0.9, 0.1]
    output[target == 1] = [0.1, 0.9]
    found = measured(meter(), entries(output, target, mass))
    assert [found["sculpting@0.5"], found["sculpting_excess@0.5"]] == [1, 1]
    known = meter()
    known.update(entries(output, target, mass), None)
    assert "0.5" not in known.details(known.totals())["sculpting"]["mass"]["top"]
    # what is not known has no error
    assert known.errors(known.totals()) == {}


def test_divergences_have_the_errors_of_the_details():
    known = meter()
    assert known.errors(known.totals()) == {}
    known.update(entries(*jets()), None)
    errors = known.errors(known.totals())
    own = known.details(known.totals())["sculpting"]["mass"]["top"]
    assert len(errors) == 2 * len(EFFICIENCIES)
    for efficiency in EFFICIENCIES:
        expected = own[str(efficiency)]["jensen_shannon_bits"]["error"]
        assert errors[f"sculpting@{efficiency}"] == expected > 0
        assert errors[f"sculpting_excess@{efficiency}"] == expected


def test_an_unknown_mass_of_background_does_not_count():
    output, target, mass = jets()
    with_gaps = mass.copy()
    with_gaps[1::4] = np.nan
    keep = np.isfinite(with_gaps)
    found = measured(meter(), entries(output, target, with_gaps))
    expected = measured(meter(), entries(output[keep], target[keep], mass[keep]))
    assert found == pytest.approx(expected)


def test_data_without_the_variable_or_bins_are_not_measured():
    output, target, mass = jets()
    batch = entries(output, target, mass)
    assert measured(meter(edges=None), batch) == {}
    nothing = Scored(batch.output, batch.target, batch.weight, batch.counts)
    assert measured(meter(), nothing) == {}


def test_a_threshold_inside_of_a_bin_passes_a_part_of_it():
    signal = tensor([2.0, 0.0, 4.0, 2.0], dtype=torch.float64)
    # half of 8 are the last 2 and half of the 4 before
    assert passing_shares(signal, 0.5).tolist() == [0, 0, 0.5, 1]
    assert passing_shares(signal, 0.25).tolist() == [0, 0, 0, 1]
    assert passing_shares(signal, 0.875).tolist() == [0.5, 1, 1, 1]
    assert passing_shares(tensor([0.0, 8.0, 0.0]), 0.5).tolist() == [0, 0.5, 1]


def test_scores_that_lie_close_together_are_told_apart():
    output, target, mass = jets()
    far = measured(meter(), entries(output, target, mass))
    logit = 0.02 * np.log(output[:, 0] / output[:, 1])
    score = 1 / (1 + np.exp(-logit))
    close = np.stack([score, 1 - score], 1).astype(np.float32)
    found = measured(meter(), entries(close, target, mass))
    assert found["sculpting@0.5"] == pytest.approx(far["sculpting@0.5"], rel=0.1)


def test_each_signal_has_its_own_threshold_and_names():
    output, target, mass = jets()
    # a third class that takes half of the background's probability
    output = np.stack([output[:, 0], output[:, 1] / 2, output[:, 1] / 2], 1)
    several = meter(classes=("top", "qcd", "w"), signals=("top", "w"), ending="_mass")
    found = measured(several, entries(output, np.where(np.arange(ROWS) % 5, target, 2), mass))
    names = {
        f"{kind}@{share}" for kind in ("sculpting", "sculpting_excess") for share in (0.3, 0.5)
    }
    names |= {"correlation"}
    assert set(found) == {f"{name}_{end}_mass" for name in names for end in ("top", "w")}
    alone = measured(meter(), entries(output[:, :2], target, mass))
    assert set(alone) == names
    details = several.details(several.totals())["sculpting"]["mass"]
    assert set(details) == {"top", "w"}
    assert details["top"]["0.5"]["jensen_shannon_bits"]["value"] == pytest.approx(
        found["sculpting@0.5_top_mass"]
    )
    assert [part["sum_of_weights"] for part in details["w"]["profile"]] == [
        part["sum_of_weights"] for part in details["top"]["profile"]
    ]


def test_values_on_edges_belong_to_the_bin_above_and_the_outermost_are_open():
    values = tensor([-5.0, 0.0, 0.99, 1.0, 2.0, 3.0, 70.0])
    assert variable_bins(values, EDGES).tolist() == [0, 0, 0, 1, 2, 2, 2]


def test_the_correlation_of_what_is_constant_is_0():
    def moments(x, y):
        x, y = np.array(x), np.array(y)
        return tensor([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])

    assert correlation(moments([0.1] * 3, [1.0, 2.0, 3.0])) == 0
    assert correlation(moments([1.0, 2.0], [4.0, 2.0])) == pytest.approx(-1)
    assert math.isnan(correlation(torch.zeros(6)))
