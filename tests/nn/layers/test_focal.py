"""Focal loss."""

import math
import warnings

import pytest
import torch
from torch.nn import functional as F

from weaver_tt.nn.layers.focal import FocalLoss, focal_loss


def test_a_value_by_hand():
    """Two classes, logits 0 and ln 3: p = 1/4 and 3/4; (1 - p)^2 times -ln p."""
    loss = focal_loss(torch.tensor([[0.0, math.log(3)]] * 2), torch.tensor([0, 1]), alpha=2.0)
    assert loss.tolist() == [
        pytest.approx(2 * 0.75**2 * math.log(4)),
        pytest.approx(2 * 0.25**2 * math.log(4 / 3)),
    ]


def test_without_focus_it_is_cross_entropy():
    output = torch.randn(7, 3, 2)
    target = torch.randint(3, (7, 2))
    torch.testing.assert_close(FocalLoss(gamma=0)(output, target), F.cross_entropy(output, target))
    torch.testing.assert_close(
        FocalLoss(gamma=0, reduction="sum")(output, target),
        F.cross_entropy(output, target, reduction="sum"),
    )


def test_an_entry_that_is_certain_has_a_finite_gradient():
    output = torch.tensor([[200.0, 0.0]], requires_grad=True)
    FocalLoss(gamma=0.5)(output, torch.tensor([0])).backward()
    assert output.grad.isfinite().all()


def test_it_is_weavers_but_for_its_small_number():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("weaver.nn.loss.focal")
    output = torch.randn(50, 4)
    target = torch.randint(4, (50,))
    for gamma in (0.0, 1.0, 2.0):
        torch.testing.assert_close(
            FocalLoss(0.5, gamma)(output, target),
            theirs.FocalLoss(0.5, gamma)(output, target),
            atol=1e-4,
            rtol=0,
        )
