"""The distance correlation of a validation, against dcor."""

import dcor
import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.metrics import distance_correlation as module
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.distance_correlation import DistanceCorrelationMeter, distance_correlation


def rows(number=700, seed=0):
    """Scores of three classes, classes, masses, which the scores depend on."""
    random = np.random.default_rng(seed)
    mass = random.uniform(0, 3, number)
    logits = random.normal(size=(number, 3)) + np.outer(np.cos(2 * mass), [1, 0, -1])
    output = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return output, random.integers(0, 3, number), mass


def entries(output, target, mass):
    ones = torch.ones(len(mass))
    return Scored(
        tensor(output), tensor(target), ones, ones, monitors={"spectator:mass": tensor(mass)}
    )


def measured(*batches, losses=None):
    meter = DistanceCorrelationMeter(["mass"], [0, 1], [2])
    for batch in batches:
        meter.update(batch, losses)
    return meter.values(meter.totals())


def test_it_is_that_of_dcor_whatever_the_blocks(monkeypatch):
    output, target, mass = rows()
    chosen = target == 2
    expected = dcor.distance_correlation(output[chosen, :2], mass[chosen, None])
    monkeypatch.setattr(module, "BLOCK", 37)
    assert expected > 0.2
    assert measured(entries(output, target, mass)) == {
        "distance_correlation": pytest.approx(expected, abs=1e-6)
    }
    parts = []
    for part in np.split(np.arange(700), 7):
        parts.append(entries(output[part], target[part], mass[part]))
    assert measured(*parts)["distance_correlation"] == pytest.approx(expected, abs=1e-6)


def test_weights_count_as_repeated_rows():
    output, _, mass = rows(50)
    repeats = torch.arange(50) % 3
    scores, variables = tensor(output[:, :1]), tensor(mass)[:, None]
    expected = distance_correlation(
        scores.repeat_interleave(repeats, 0),
        variables.repeat_interleave(repeats, 0),
        torch.ones(int(repeats.sum()), dtype=torch.float64),
    )
    found = distance_correlation(scores, variables, repeats.double())
    assert found == pytest.approx(expected)


def test_of_many_rows_an_even_choice_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    meter = DistanceCorrelationMeter(["mass"], [0], [2])
    mass = np.arange(1.0, 48.0)
    output = np.full((47, 3), 1 / 3)
    for part in (slice(0, 7), slice(7, 30), slice(30, 47)):
        meter.update(entries(output[part], np.full(47, 2)[part], mass[part]), None)
    kept = meter.blocks(meter.totals())["rows"][:, 2]
    # every eighth of 47
    assert kept[kept != 0].tolist() == [1, 9, 17, 25, 33, 41]


def test_ranks_fill_places_of_their_own(monkeypatch):
    output, target, mass = rows(60)
    expected = measured(entries(output, target, mass))
    totals = 0
    monkeypatch.setattr(module, "world_size", lambda: 2)
    for number, part in enumerate((slice(0, 20), slice(20, 60))):
        monkeypatch.setattr(module, "rank", lambda number=number: number)
        meter = DistanceCorrelationMeter(["mass"], [0, 1], [2])
        meter.update(entries(output[part], target[part], mass[part]), None)
        totals = totals + meter.totals()
    assert meter.values(totals) == pytest.approx(expected)


def test_training_and_what_is_constant_are_quick():
    output, target, mass = rows(30)
    losses = torch.ones(30, requires_grad=True)
    assert measured(entries(output, target, mass), losses=losses) == {}
    assert measured(entries(output, target, np.full(30, 2.0))) == {"distance_correlation": 0}
    meter = DistanceCorrelationMeter(["mass"], [0, 1], [2])
    # as names of metrics are found
    assert meter.values(torch.ones_like(meter.totals())) == {"distance_correlation": 0}
    assert meter.values(meter.totals()) == {}
