"""Focal loss: cross entropy that counts entries the less, the better they are told already.

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
    """``-alpha (1 - p)^gamma log p`` with p the softmax of ``output`` (N, K, …) at the class ``target`` (N, …): (N, …), or a mean or sum of it."""
    log_p = F.log_softmax(output, 1).gather(1, target.unsqueeze(1)).squeeze(1)  # (N, …)
    missed = -torch.expm1(log_p)  # 1 - p, exact also where p is nearly 1
    loss = (
        -alpha * missed.clamp(min=torch.finfo(missed.dtype).tiny).pow(gamma) * log_p
    )  # a power of 0 would have no gradient
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


class FocalLoss(nn.Module):
    """:func:`focal_loss` as a module; ``gamma`` 0 and ``alpha`` 1 make cross entropy."""

    def __init__(
        self,
        alpha: float = 1.0,
        gamma: float = 2.0,
        reduction: Literal["none", "mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N, K, …) logits and (N, …) classes."""
        return focal_loss(output, target, self.alpha, self.gamma, self.reduction)
