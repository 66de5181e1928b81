"""Learning-rate curves against their definitions, and against torch's schedulers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.engine.schedule import CURVES, Plateau, PlateauOptions, make_schedule
from weaver_tt.errors import ConfigError
from weaver_tt.options.thresholds import Threshold


def factors(name, epochs, *done, warmup=0.05):
    """The curve at these numbers of epochs done."""
    schedule = make_schedule(name, epochs, warmup, "min")
    return [schedule.factor(value) for value in done]


def test_none_stays():
    assert factors("none", 5, 0.0, 2.5, 5.0) == [1.0, 1.0, 1.0]


def test_steps_are_at_the_thirds():
    assert factors("steps", 9, 0.0, 2.99, 3.0, 5.99, 6.0, 9.0) == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_flat_decay_falls_to_a_hundredth_in_the_last_epochs():
    values = factors("flat+decay", 10, 0.0, 6.99, 7.0, 7.9, 8.0, 9.0, 9.99)
    assert values == pytest.approx(
        [1, 1, 0.01 ** (1 / 3), 0.01 ** (1 / 3), 0.01 ** (2 / 3), 0.01, 0.01]
    )


def test_flat_decay_of_a_short_training_begins_flat():
    assert factors("flat+decay", 1, 0.0) == [1.0]
    assert factors("flat+decay", 2, 0.0, 1.0) == pytest.approx([1.0, 0.01])


def test_flat_linear_and_flat_cos_meet_halfway():
    assert factors("flat+linear", 10, 7.0, 8.5, 10.0, warmup=0.0) == pytest.approx(
        [1.0, 0.5005, 0.001]
    )
    assert factors("flat+cos", 10, 7.0, 8.5, 10.0, warmup=0.1) == pytest.approx(
        [1.0, 0.5005, 0.001]
    )


def test_warmup_rises_then_falls_to_zero():
    assert factors("warmup+cos", 10, 0.0, 0.5, 1.0, 5.5, 10.0, warmup=0.1) == pytest.approx(
        [0, 0.5, 1, 0.5, 0], abs=1e-12
    )
    assert factors("warmup+cos", 10, 0.0, warmup=0.0) == [1.0]


def test_flat_curves_rise_first():
    assert factors("flat+linear", 10, 0.0, 1.0, 2.0, 8.5, warmup=0.2) == pytest.approx(
        [0, 0.5, 1, 0.5005]
    )
    assert factors("flat+cos", 10, 0.0, 1.0, 2.0, 8.5, warmup=0.2) == pytest.approx(
        [0, 0.5, 1, 0.5005]
    )


def test_warmup_in_steps_is_a_share_of_all_steps():
    schedule = make_schedule("warmup+cos", 10, 50, "min", steps=20)
    assert [schedule.factor(done) for done in (0.0, 1.25, 2.5)] == pytest.approx([0, 0.5, 1])


def test_one_cycle_is_torchs():
    steps = 1001
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=steps, cycle_momentum=False
    )
    for step in range(steps - 1):
        assert factors("one-cycle", 1, step / (steps - 1))[0] == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=0.003
        )
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize(
    ("options", "of_torch"),
    [
        # torch reduces after one epoch more than its patience
        (PlateauOptions(), {"patience": 2, "threshold": 0.01}),
        (
            PlateauOptions(0.2, 2, Threshold(0.1)),
            {"factor": 0.2, "patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
        ),
        (
            PlateauOptions(0.5, 1, Threshold(0.3, is_relative=True)),
            {"factor": 0.5, "patience": 0, "threshold": 0.3},
        ),
    ],
)
def test_plateau_is_torchs(direction, options, of_torch):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode=direction, eps=0, **of_torch
    )
    ours = Plateau(direction, options)
    for value in (1.0, 0.5, 0.499, 0.498, 0.497, 0.496, 0.2, 0.3, 0.3, 0.3, 0.3, 0.9):
        ours.observe(value)
        theirs.step(value)
        assert ours.factor(0.0) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_of_a_bias_waits_for_it_to_come_closer_to_zero():
    plateau = Plateau("zero", PlateauOptions(patience=3))
    for value in (-4.0, 3.0, -2.0, 1.0):  # always closer: nothing is reduced
        plateau.observe(value)
    assert plateau.factor(0.0) == 1.0
    for value in (-4.0, -5.0, -6.0):  # smaller, but no better: three are enough
        plateau.observe(value)
    assert plateau.factor(0.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("direction", "values"),
    [("min", (math.inf, 3.0, 2.0, 1.0)), ("max", (-math.inf, 1.0, 2.0, 3.0))],
)
def test_plateau_gets_over_an_infinite_value(direction, values):
    plateau = Plateau(direction)
    for value in values:
        plateau.observe(value)
    assert (plateau.patience.best, plateau.patience.waited) == (values[-1], 0)


def test_plateau_is_resumed():
    first, second = Plateau("min"), Plateau("min")
    for value in (1.0, 1.0, 1.0):
        first.observe(value)
    second.load_state_dict(first.state_dict())
    second.observe(1.0)
    assert second.factor(0.0) == pytest.approx(0.1)


@given(st.sampled_from(sorted(CURVES)), st.integers(1, 50), st.floats(0, 1))
def test_factors_are_never_above_one_nor_negative(name, epochs, share):
    assert 0 <= CURVES[name](share * epochs, epochs) <= 1


@given(
    st.sampled_from(["flat+linear", "flat+cos", "one-cycle"]),
    st.integers(1, 50),
    st.integers(2, 400),
)
def test_curves_do_not_know_how_epochs_are_cut(name, epochs, cuts):
    assert factors(name, epochs, epochs / 2)[0] == pytest.approx(factors(name, cuts, cuts / 2)[0])
    assert not math.isnan(factors(name, epochs, float(epochs))[0])


def test_unknown_names_and_warmups_are_refused():
    with pytest.raises(ConfigError, match=r"did you mean 'flat\+cos'"):
        make_schedule("flat+cosine", 3, 0.1, "min")
    with pytest.raises(ConfigError, match=r"--warmup-steps 1\.5: .* known with --steps-per-epoch"):
        make_schedule("warmup+cos", 3, 1.5, "min")
    with pytest.raises(ConfigError, match=r"fewer steps than all"):
        make_schedule("warmup+cos", 3, 300, "min", steps=100)
    with pytest.raises(ConfigError, match=r"in \[0, 1\)"):
        make_schedule("flat+cos", 3, -0.1, "min")
