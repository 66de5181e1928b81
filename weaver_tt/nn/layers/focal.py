"""Focal loss: cross entropy in which entries that are classified well already count less.

Source: T.-Y. Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002, equation 5.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def focal_loss(
    output: Tensor,
    target: Tensor,
    alpha: float,
    gamma: float = 2.0,
    reduction: Literal["none", "mean", "sum"] = "none",
) -> Tensor:
    """``-alpha (1 - p)^gamma log p``: (N, …), or a mean or sum of it.

    p is the softmax of ``output`` (N, K, …) at the class ``target`` (N, …).
    """
    log_p = F.log_softmax(output, 1).gather(1, target.unsqueeze(1)).squeeze(1)  # (N, …)
    # 1 - p, exact also where p is nearly 1
    missed = -torch.expm1(log_p)  # (N, …)
    # a power of 0 would have no gradient
    missed = missed.clamp(min=torch.finfo(missed.dtype).tiny)
    loss = -alpha * missed.pow(gamma) * log_p  # (N, …)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    return loss.sum()


class FocalLoss(nn.Module):
    """:func:`focal_loss` as a module; ``gamma`` 0 and ``alpha`` 1 make cross entropy."""

    def __init__(
        self,
        alpha: float = 1.0,
        gamma: float = 2.0,
        reduction: Literal["none", "mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.reduction: Literal["none", "mean", "sum"] = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N, K, …) logits and (N, …) classes."""
        return focal_loss(output, target, self.alpha, self.gamma, self.reduction)
