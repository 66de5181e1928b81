"""Batch norm whose statistics are those of real objects, for features in the last dimension."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ObjectNorm(nn.BatchNorm1d):
    """Batch norm over all leading dimensions, (…, C) -> (…, C), that padding takes no part in; parameters and buffers of ``nn.BatchNorm1d``.

    A variance needs two values: with fewer, training falls back on the running statistics and leaves them as they are, so that a batch of one row,
    or of rows without objects, is neither an error nor a NaN. With padding (``real`` given), that is decided without waiting for the device.
    """

    def forward(self, values: Tensor, real: Tensor | None = None) -> Tensor:
        """``real`` (…, 1): 1 where there is an object, 0 on padding, whose output is arbitrary; None: all are real."""
        assert self.running_mean is not None
        assert self.running_var is not None
        if not self.training:
            return self._scaled(values, self.running_mean, self.running_var)
        if real is not None:
            return self._scaled(values, *self._statistics(values, real))
        flat = values.reshape(-1, self.num_features)
        if len(flat) < 2:
            return self._scaled(values, self.running_mean, self.running_var)
        self._count()
        output = functional.batch_norm(
            flat,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            True,
            self._rate,
            self.eps,
        )
        return output.view_as(values)

    def _scaled(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (values - mean) * scale
        return (values - mean) * (scale * self.weight) + self.bias

    def _statistics(self, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) of the real objects, or the running ones where there are fewer than two."""
        over = tuple(range(values.ndim - 1))
        values = values.to(
            torch.promote_types(values.dtype, torch.float32)
        )  # a sum of bf16 would round after each term
        number = real.sum()
        mean = (values * real).sum(over) / number.clamp(min=1)
        variance = ((values - mean).square() * real).sum(over) / number.clamp(min=1)
        enough = number > 1
        self._count(enough)
        with torch.no_grad():
            rate = self._rate * enough
            self.running_mean.lerp_(mean, rate)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * number / (number - 1).clamp(min=1), rate)  # type: ignore[union-attr]
        mean = torch.where(enough, mean, self.running_mean)  # type: ignore[arg-type]
        variance = torch.where(enough, variance, self.running_var)  # type: ignore[arg-type]
        return mean, variance

    @torch.no_grad()
    def update_running_stats(self, mean: Tensor, variance: Tensor, number: int) -> None:
        """Take the mean and the biased variance (C,) of ``number`` >= 2 real objects, computed elsewhere, into the running statistics."""
        self._count()
        self.running_mean.lerp_(mean, self._rate)  # type: ignore[union-attr]
        self.running_var.lerp_(variance * (number / (number - 1)), self._rate)  # type: ignore[union-attr]

    def _count(self, by: Tensor | int = 1) -> None:
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(by)

    @property
    def _rate(self) -> float:
        """Share of the new statistics in the running ones."""
        assert self.momentum is not None
        return self.momentum
