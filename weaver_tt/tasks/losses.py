"""Losses of real targets, as functions of the residual, predicted - true, and of a width."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weaver_tt.config.schema import TargetLoss

# residuals (M, Q), one for each output of the loss -> loss of each entry and output (M, Q);
# of gaussian, the residual and the width (M, 2) -> (M, 1)
ResidualLoss = Callable[[Tensor, TargetLoss], Tensor]


def _huber(residual: Tensor, loss: TargetLoss) -> Tensor:
    return F.huber_loss(residual, torch.zeros_like(residual), reduction="none", delta=loss.delta)


def _mse(residual: Tensor, loss: TargetLoss) -> Tensor:
    return torch.square(residual)


def _mae(residual: Tensor, loss: TargetLoss) -> Tensor:
    return torch.abs(residual)


def _logcosh(residual: Tensor, loss: TargetLoss) -> Tensor:
    """``log(cosh(x))``, without the overflow of cosh."""
    size = residual.abs()
    return size + F.softplus(-2 * size) - math.log(2)


def _pinball(residual: Tensor, loss: TargetLoss) -> Tensor:
    """``q (true - predicted)`` above the prediction, ``(1 - q) (predicted - true)`` below it.

    It is smallest where a share q of the true values lies below the prediction.

    Source: R. Koenker and G. Bassett, Econometrica 46 (1978) 33.
    """
    quantiles: Any = residual.new_tensor(loss.quantiles)  # (Q,)
    return torch.maximum((1 - quantiles) * residual, -quantiles * residual)


def _gaussian(residual: Tensor, loss: TargetLoss) -> Tensor:
    """``log(width) + (residual / width)^2 / 2``: -log of a normal density, but for a constant.

    Residual and width (M, 2) -> (M, 1). At the residual 0 and the width 1 it is 0.
    """
    difference, width = residual.unbind(1)
    loss_of_entry = width.log() + torch.square(difference / width) / 2
    return loss_of_entry[:, None]


LOSSES: dict[str, ResidualLoss] = {
    "huber": _huber,
    "mse": _mse,
    "mae": _mae,
    "logcosh": _logcosh,
    "pinball": _pinball,
    "gaussian": _gaussian,
}


def residual_loss(residual: Tensor, loss: TargetLoss) -> Tensor:
    """The loss of each entry, the mean over its outputs: residuals (M, Q) -> (M,).

    A width stands among residuals as it is.
    """
    each = LOSSES[loss.name](residual, loss)  # (M, Q)
    # the mean over one output is that output
    return each[:, 0] if each.shape[1] == 1 else each.mean(1)
