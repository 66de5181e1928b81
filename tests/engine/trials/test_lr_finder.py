"""The learning-rate range test on a line, whose loss at each rate is known."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.trials.lr_finder import (
    SMOOTHING,
    Sweep,
    find_rate,
    has_diverged,
    smooth_losses,
    steepest_rate,
)
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.network.network import Network
from weaver_tt.options.train import TrainOptions


class Ones:
    """Epochs of three batches with x = 1 and y = 0."""

    steps = None
    accounting = Accounting()

    def __init__(self, value=1.0):
        self.value = value

    def epoch(self, number, skip=0):
        for index in range(skip, 3):
            yield Batch(
                {"event": torch.full((2, 1), self.value)},
                {},
                {},
                {"y": torch.zeros(2)},
                progress=(index + 1) / 3,
                size=2,
            )


class Told(NullTracker):
    """Remembers what it was told."""

    def __init__(self):
        self.losses = []
        self.rates = []
        self.epochs = []
        self.drawn = []

    def interval(self, values, step):
        self.losses.append(values["lr_finder/loss"])
        self.rates.append(values["lr_finder/learning_rate"])

    def epoch(self, values, number, figures=None):
        self.epochs.append(dict(values))
        self.drawn += figures()


def line(value=1.0):
    """The network y = a x, at a = ``value``."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return Network(module, ["event"])


def find(folder, task, text, train=None, tracker=None):
    options = TrainOptions(lr_finder=text, optimizer="sgd")
    return find_rate(
        line(),
        task,
        train or Ones(),
        options,
        str(folder / "net"),
        tracker or NullTracker(),
    )


def test_each_step_is_taken_at_the_next_rate(tmp_path, task):
    """Gradient descent on a**2 with rate r multiplies a by 1 - 2 r."""
    told = Told()
    find(tmp_path, task, "0.001, 0.1, 21", tracker=told)
    rates = 0.001 * 100 ** (np.arange(21) / 20)
    assert told.rates == pytest.approx(rates)
    a = np.cumprod([1.0, *(1 - 2 * rates[:-1])])
    assert told.losses == pytest.approx(a**2, rel=1e-4)
    assert told.drawn == ["lr_finder"]


def test_the_suggestion_is_written_with_its_figure(tmp_path, task):
    suggested = find(tmp_path, task, "1e-4,0.5,60")
    numbers = json.loads((tmp_path / "net_lr_finder.json").read_text())
    assert numbers["suggested"] == suggested
    assert len(numbers["rate"]) == len(numbers["loss"]) == 60
    assert (tmp_path / "net_lr_finder.png").read_bytes()[:4] == b"\x89PNG"
    assert (
        0.005 < suggested < 0.1
    )  # a / (1 - 2 r) falls most where the sum of rates so far is about 1/4


def test_a_loss_that_diverges_ends_the_test(tmp_path, task, caplog):
    with caplog.at_level("INFO", "weaver_tt"):
        assert find(tmp_path, task, "0.1,1000,200") is not None
    assert "the loss diverges after" in caplog.text
    assert len(json.loads((tmp_path / "net_lr_finder.json").read_text())["rate"]) < 150


def test_the_average_forgets_the_start_and_not_zero():
    losses = np.array([3.0, 1.0, 2.0])
    expected = [
        3,
        (1 + 3 * SMOOTHING) / (1 + SMOOTHING),
        (2 + SMOOTHING + 3 * SMOOTHING**2) / (1 + SMOOTHING + SMOOTHING**2),
    ]
    assert smooth_losses(losses) == pytest.approx(expected)
    assert smooth_losses(np.full(9, 2.0)) == pytest.approx(np.full(9, 2.0))


def test_the_steepest_descent_is_before_the_lowest_loss():
    rates = np.geomspace(1e-4, 1, 41)
    curve = np.r_[
        1 - 1 / (1 + np.exp(-3 * np.log(rates[:35] / 1e-2))), 9, 5, 3, 2, 1.5, 1.2
    ]  # logistic, center 0.01; then a fall from a peak
    assert steepest_rate(rates, curve) == pytest.approx(1e-2)
    assert steepest_rate(rates, np.linspace(1, 2, 41)) is None


def test_divergence_is_four_times_the_lowest_average_or_no_number():
    falling = np.linspace(2, 1, 20)
    assert not has_diverged(falling)
    assert not has_diverged(np.r_[falling, 3.0])
    assert has_diverged(np.r_[falling, 50.0])
    assert has_diverged(np.r_[falling, math.nan])


@pytest.mark.parametrize(
    "text", ["1e-5", "1e-5,1", "1,1e-5,100", "0,1,100", "1e-5,1,5", "a,b,c", "1e-5,1,100,2"]
)
def test_a_range_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--lr-finder"):
        Sweep.parse(text)


def test_the_tutorials_range_is_understood():
    assert Sweep.parse("5e-6, 5e0, 200") == Sweep(5e-6, 5.0, 200)


def test_data_that_gives_no_number_is_told(tmp_path, task):
    class Nothing2(Ones):
        def epoch(self, number, skip=0):
            return iter(())

    with pytest.raises(TrainingError, match="for 0 steps only"):
        find(tmp_path, task, "1e-4,1,50", train=Nothing2())
