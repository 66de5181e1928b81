"""Norms of gradients, by hand."""

import math

import pytest
from torch import nn, tensor

from weaver_tt.engine import gradient_norms
from weaver_tt.engine.gradient_norms import GradientNorms, gradient_norm


def test_the_norm_is_that_of_all_gradients_together():
    a, b, unused = (nn.Parameter(tensor([0.0, 0.0])) for _ in range(3))
    assert gradient_norm([a]).item() == 0
    a.grad = tensor([3.0, 0.0])
    b.grad = tensor([0.0, -4.0])
    assert gradient_norm([a, b, unused]).item() == 5


@pytest.mark.parametrize("kept", [1, 2, 3, 256])
def test_mean_and_largest_are_those_since_the_last_reading(monkeypatch, kept):
    monkeypatch.setattr(gradient_norms, "MOST_KEPT", kept)
    norms = GradientNorms()
    assert norms.read() == {}
    for value in (1.0, 6.0, 2.0):
        norms.add(tensor(value))
    assert norms.read() == {"gradient_norm": 3.0, "gradient_norm_max": 6.0}
    norms.add(tensor(2.0))
    assert norms.read() == {"gradient_norm": 2.0, "gradient_norm_max": 2.0}


def test_a_step_that_overflows_is_left_out():
    norms = GradientNorms()
    for value in (math.inf, 2.0, math.nan):
        norms.add(tensor(value))
    assert norms.read() == {"gradient_norm": 2.0, "gradient_norm_max": 2.0}
    norms.add(tensor(math.inf))
    assert norms.read() == {}
