"""Losses of residuals, by hand."""

import math

import pytest
import torch
from torch import tensor

from weaver_tt.config.schema import TargetLoss
from weaver_tt.config.targets import LOSS_OPTIONS
from weaver_tt.tasks.losses import LOSSES, residual_loss


def test_every_loss_of_the_data_yaml_is_there():
    assert LOSSES.keys() == LOSS_OPTIONS.keys()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (TargetLoss(name="huber"), [0.125, 1.5]),
        # quadratic below delta, straight above: delta (|x| - delta / 2)
        (TargetLoss(name="huber", delta=0.25), [0.25 * 0.375, 0.25 * 1.875]),
        (TargetLoss(name="mse"), [0.25, 4.0]),
        (TargetLoss(name="mae"), [0.5, 2.0]),
        (TargetLoss(name="logcosh"), [math.log(math.cosh(x)) for x in (0.5, 2.0)]),
        # predicted above the truth: 1 - q; below: q
        (TargetLoss(name="pinball", quantiles=(0.1,)), [0.45, 0.2]),
    ],
)
def test_losses_of_residuals_a_half_and_minus_two(loss, expected):
    residual = tensor([[0.5], [-2.0]])
    assert residual_loss(residual, loss).tolist() == pytest.approx(expected)


def test_the_gaussian_loss_is_minus_the_logarithm_of_a_normal_density():
    loss = TargetLoss(name="gaussian")
    # residual and width
    entries = tensor([[0.5, 2.0], [-2.0, 0.25], [0.0, 1.0]])
    normal = torch.distributions.Normal(torch.zeros(3), entries[:, 1])
    # but for a constant: it is 0 where a residual is 0 and a width 1
    expected = -normal.log_prob(entries[:, 0]) - math.log(2 * math.pi) / 2
    assert residual_loss(entries, loss).tolist() == pytest.approx(expected.tolist())
    assert residual_loss(entries, loss)[2].item() == 0.0


def test_the_loss_of_several_quantiles_is_their_mean():
    loss = TargetLoss(name="pinball", quantiles=(0.1, 0.5))
    assert residual_loss(tensor([[1.0, -1.0]]), loss).item() == pytest.approx((0.9 + 0.5) / 2)


def test_pinball_is_smallest_at_the_quantile():
    sample = torch.arange(100.0)
    loss = TargetLoss(name="pinball", quantiles=(0.84,))
    means = [residual_loss(guess - sample[:, None], loss).mean().item() for guess in range(100)]
    assert means.index(min(means)) in (83, 84)
