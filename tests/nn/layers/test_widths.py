"""Widths are above 0."""

import math

import pytest
from torch import tensor

from weaver_tt.nn.layers.widths import LEAST_WIDTH, positive_width


def test_a_width_is_above_zero_and_follows_a_large_output():
    widths = positive_width(tensor([-1e4, 0.0, 50.0])).tolist()
    assert widths == pytest.approx([LEAST_WIDTH, math.log(2) + LEAST_WIDTH, 50.0], rel=1e-5)
