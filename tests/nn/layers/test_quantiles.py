"""Quantiles that never cross."""

import math

import pytest
import torch
from torch import tensor

from weaver_tt.nn.layers.quantiles import middle, rising


def test_the_anchor_stays_and_the_others_are_steps_from_their_neighbour():
    step = math.log(2)  # softplus(0)
    values = rising(tensor([[0.0, 5.0, 0.0, 0.0]]), 1)
    assert values[0].tolist() == pytest.approx([5 - step, 5, 5 + step, 5 + 2 * step])


def test_whatever_the_network_gives_they_rise():
    raw = torch.randn(1000, 5, generator=torch.Generator().manual_seed(1)) * 10
    for anchor in range(5):
        values = rising(raw, anchor)
        assert (values.diff(dim=1) >= 0).all()
        assert torch.equal(values[:, anchor], raw[:, anchor])


def test_the_median_is_in_the_middle():
    assert middle([0.1, 0.5, 0.9, 0.99]) == 1
    assert middle([0.05, 0.3]) == 1
