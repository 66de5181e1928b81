"""Norms of the gradients of all steps of an interval, looked at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOST_KEPT = 256  # norms before they are added up: a few operations on the device for many steps


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The norm () of all gradients together, as clipping takes it; 0 without any."""
    gradients = [part.grad for part in parameters if part.grad is not None]
    if not gradients:
        return torch.zeros((), device=parameters[0].device)
    norms = torch._foreach_norm(gradients)
    return torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms]))


class GradientNorms:
    """Mean and largest of the norms since they were last read.

    Nothing waits for the device before they are read. A norm that is infinite or NaN, as of a step
    that float16 overflows in, is left out.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._kept: list[Tensor] = []
        # sum, number and largest of those that are not kept any more
        self._sums: Tensor | None = None  # (3,)

    def add(self, norm: Tensor) -> None:
        """The norm () of the gradient of a step, before clipping."""
        self._kept.append(norm.detach())
        if len(self._kept) == MOST_KEPT:
            self._add_up()

    def _add_up(self) -> None:
        norms = torch.stack(self._kept).double()
        is_finite = norms.isfinite()
        finite = torch.where(is_finite, norms, 0)
        sums = torch.stack([finite.sum(), is_finite.sum(), finite.max()])
        if self._sums is not None:
            largest = torch.maximum(self._sums[2], sums[2])
            sums = torch.stack([*(self._sums + sums)[:2], largest])
        self._sums = sums
        self._kept = []

    def read(self) -> dict[str, float]:
        """``gradient_norm`` and ``gradient_norm_max``, and begin anew. Waits for the device."""
        if self._kept:
            self._add_up()
        sums = self._sums
        self._begin()
        if sums is None:
            return {}
        total, number, largest = sums.tolist()
        if not number:
            return {}
        return {"gradient_norm": total / number, "gradient_norm_max": largest}
