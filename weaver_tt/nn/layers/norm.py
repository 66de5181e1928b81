"""Batch norm over real objects only, for features in the last dimension."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.nn.layers.norm_over_ranks import Moments, NormOverRanks, normalize_by
from weaver_tt.system.distributed import is_running


class ObjectNorm(nn.BatchNorm1d):
    """Batch norm over all leading dimensions, (…, C) -> (…, C), in which padding takes no part.

    Parameters and buffers are those of ``nn.BatchNorm1d``. A variance needs two values: with fewer,
    training falls back on the running statistics and leaves them as they are, so that a batch of
    one row, or of rows without objects, is neither an error nor a NaN. With padding (``real`` is
    given), that is decided without waiting for the device.
    """

    # with --sync-batchnorm: how its statistics are those of all ranks
    over_ranks: NormOverRanks | None = None

    def forward(self, values: Tensor, real: Tensor | None = None) -> Tensor:
        """Normalize ``values`` (…, C).

        ``real`` (…, 1) is 1 where there is an object and 0 on padding, whose output is arbitrary;
        None means that all objects are real.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        if not self.training:
            return self._normalize(values, self.running_mean, self.running_var)
        flat = values.reshape(-1, self.num_features)  # (M, C)
        if real is not None:
            real = real.expand(*values.shape[:-1], 1).reshape(-1, 1)  # (M, 1)
        over_ranks = self.active_over_ranks()
        if over_ranks is not None:
            return over_ranks.normalize(flat, real).view_as(values)
        if real is not None:
            return normalize_by(_OwnStatistics(self), flat, real).view_as(values)
        if len(flat) < 2:
            return self._normalize(values, self.running_mean, self.running_var)
        # without padding, torch's own kernel is the fastest
        self._count_batch()
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

    def active_over_ranks(self) -> NormOverRanks | None:
        """What adds up its statistics over ranks in training; None if they are its own."""
        return self.over_ranks if self.training and is_running() else None

    def _normalize(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """(values - mean) / standard deviation, times the weight plus the bias."""
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (values - mean) * scale
        # the scale first: a product of two (C,) costs nothing beside one of (…, C)
        return (values - mean) * (scale * self.weight) + self.bias

    def _update_with_moments(
        self, number: Tensor, mean: Tensor, variance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update the running statistics with mean and biased variance of ``number`` objects.

        Gives them back; the running ones where there are fewer than two objects.
        """
        # a tensor, on which nothing branches: an `if` would wait for the device
        enough = number > 1
        self._count_batch(enough)
        with torch.no_grad():
            # a rate of 0 leaves the running statistics as they are
            rate = self._rate * enough.to(mean.dtype)
            unbiased = variance * number / (number - 1).clamp(min=1)
            self.running_mean.lerp_(mean, rate)  # type: ignore[union-attr]
            self.running_var.lerp_(unbiased, rate)  # type: ignore[union-attr]
        mean = torch.where(enough, mean, self.running_mean)  # type: ignore[arg-type]
        variance = torch.where(enough, variance, self.running_var)  # type: ignore[arg-type]
        return mean, variance

    def normalize_parts(self, parts: Sequence[tuple[Tensor, Tensor | None]]) -> list[Tensor]:
        """Normalize values whose features come in parts: (M_i, C_i) each, the C_i add up to C.

        With each part comes how often each of its rows counts, (M_i, 1); None: once. All parts have
        the same total. So features of objects are normalized as those of their edges, without
        repeating them for each edge. On this rank alone.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        sizes = [values.shape[1] for values, _ in parts]
        mean = self.running_mean
        variance = self.running_var
        if self.training:
            moments = [_count_moments(values, counts) for values, counts in parts]
            number = moments[0][0]
            mean = torch.cat([of_part[1] for of_part in moments])
            variance = torch.cat([of_part[2] for of_part in moments])
            mean, variance = self._update_with_moments(number, mean, variance)
        scale = (variance + self.eps).rsqrt() * self.weight  # (C,)
        shift = self.bias - mean * scale
        scales = scale.split(sizes)
        shifts = shift.split(sizes)
        normalized = []
        for (values, _), of_scale, of_shift in zip(parts, scales, shifts, strict=True):
            normalized.append(torch.addcmul(of_shift, values, of_scale))
        return normalized

    @torch.no_grad()
    def update_running_stats(self, mean: Tensor, variance: Tensor, number: int) -> None:
        """Update the running statistics with those of a batch that were computed elsewhere.

        These are the mean and the biased variance (C,) of ``number`` >= 2 real objects.
        """
        self._count_batch()
        self.running_mean.lerp_(mean, self._rate)  # type: ignore[union-attr]
        unbiased = variance * (number / (number - 1))
        self.running_var.lerp_(unbiased, self._rate)  # type: ignore[union-attr]

    def _count_batch(self, by: Tensor | int = 1) -> None:
        """Count a batch that changed the running statistics, or none where ``by`` is 0."""
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(by)

    @property
    def _rate(self) -> float:
        """Share of the new statistics in the running ones."""
        assert self.momentum is not None
        return self.momentum


class _OwnStatistics:
    """The statistics of an :class:`ObjectNorm` are those of the objects that it is given."""

    def __init__(self, norm: ObjectNorm) -> None:
        self.norm = norm

    def moments(self, number: Tensor, mean: Tensor, variance: Tensor) -> Moments:
        """As they are; the running ones follow."""
        return number, *self.norm._update_with_moments(number, mean, variance)

    def gradient_sums(self, grad_gamma: Tensor, grad_beta: Tensor) -> tuple[Tensor, Tensor]:
        """As they are."""
        return grad_gamma, grad_beta


def _count_moments(values: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Number, mean and biased variance (C,) of ``values`` (M, C), each row so often (M, 1)."""
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if counts is None:
        # filled on the device, where a number would be copied to
        number = values.new_full((), values.shape[0])
        divisor = number.clamp(min=1)
        mean = values.sum(0) / divisor
        return number, mean, (values - mean).square().sum(0) / divisor
    number = counts.sum()
    divisor = number.clamp(min=1)
    mean = (values * counts).sum(0) / divisor
    return number, mean, ((values - mean).square() * counts).sum(0) / divisor
