"""Batch norm with the statistics of all ranks' batches together (``--sync-batchnorm``).

Each batch norm adds up two things over ranks: in the forward pass what mean and variance are made
of, in the backward pass what their gradient is made of. Ranks without a batch, and batches without
real objects, count for nothing in either. So several ranks compute what one process would on the
union of their batches, as long as the loss that is differentiated on each of them is its share of
the loss of all, and gradients are added up.

Shapes: N rows, C features, M objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from weaver_tt.errors import ConfigError
from weaver_tt.system.distributed import StepSum, is_running

Moments = tuple[Tensor, Tensor, Tensor]  # number of objects (), mean (C,) and biased variance (C,)


class NormOverRanks:
    """What one batch norm adds up over ranks; its running statistics follow, on all of them.

    ``name``: of the norm in its network, for messages. ``normalize``: the batch norm itself.
    """

    def __init__(self, norm: _BatchNorm, name: str, device: torch.device) -> None:
        features = norm.num_features
        self.norm = norm
        self._moments = StepSum(name, 1 + 2 * features, device, self._update_running)
        self._gradients = StepSum(f"the gradient of {name}", 2 * features, device)
        # no decorator: that would import the compiler with this module, which takes 2 s
        self.normalize: Callable[..., Tensor] = torch.compiler.disable(self._normalize)

    def moments(self, number: Tensor, mean: Tensor, variance: Tensor) -> Moments:
        """Those of all ranks from those of this one, in the precision of ``mean``."""
        count = number.double().reshape(1)
        center = mean.double()
        # in double precision: a variance is the difference of two large numbers here
        square = variance.double() + center.square()
        sums = torch.cat([count, count * center, count * square])  # (1 + 2 C,)
        total, *both = _moments_of(self._moments(sums))
        joint_mean, joint_variance = (part.to(mean.dtype) for part in both)
        return total, joint_mean, joint_variance

    def gradient_sums(self, grad_gamma: Tensor, grad_beta: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of scale and shift (C,), added up over ranks."""
        total = self._gradients(torch.cat([grad_gamma, grad_beta]))
        gamma, beta = total.to(grad_gamma.dtype).chunk(2)
        return gamma, beta

    def _normalize(self, values: Tensor, real: Tensor | None = None) -> Tensor:
        """Batch norm of ``values`` (N, C, …), outside of compiled graphs.

        With ``real`` (N, 1), ``values`` are (N, C) and rows that are 0 there are padding, whose
        output is arbitrary. With fewer than two real objects on all ranks, the statistics are the
        running ones.
        """
        return normalize_by(self, values, real)

    @torch.no_grad()
    def _update_running(self, sums: Tensor) -> None:
        """The running statistics with the ``sums`` (1 + 2 C,) of all ranks."""
        norm = self.norm
        if norm.running_mean is None:
            return
        number, mean, variance = _moments_of(sums)
        # a tensor, on which nothing branches: an `if` would wait for the device
        enough = number > 1
        assert norm.num_batches_tracked is not None
        assert norm.running_var is not None
        norm.num_batches_tracked.add_(enough)
        if norm.momentum is None:
            # all batches so far count the same
            share = 1 / norm.num_batches_tracked.double().clamp(min=1)
        else:
            share = torch.full_like(number, norm.momentum)
        # a rate of 0 leaves the running statistics as they are
        rate = share * enough
        unbiased = variance * number / (number - 1).clamp(min=1)
        norm.running_mean.copy_(norm.running_mean.double().lerp(mean, rate))
        norm.running_var.copy_(norm.running_var.double().lerp(unbiased, rate))


def _moments_of(sums: Tensor) -> Moments:
    """Of the sums (1 + 2 C,) over all objects: of 1, values and squares."""
    number = sums[0]
    # without any real object, 0 / 1 instead of 0 / 0
    mean, square = (sums[1:] / number.clamp(min=1)).chunk(2)
    # a feature that is constant may have a variance just below 0 by rounding
    return number, mean, (square - mean.square()).clamp(min=0)


class Statistics(Protocol):
    """Which objects make the statistics of a batch norm: those of this rank, or of all."""

    @property
    def norm(self) -> _BatchNorm:
        """The batch norm that they are of."""

    def moments(self, number: Tensor, mean: Tensor, variance: Tensor) -> Moments:
        """Those of all objects, from those of this rank."""

    def gradient_sums(self, grad_gamma: Tensor, grad_beta: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of scale and shift (C,) by all objects, from those of this rank."""


def normalize_by(statistics: Statistics, values: Tensor, real: Tensor | None = None) -> Tensor:
    """Batch norm of ``values`` (N, C, …); see :meth:`NormOverRanks.normalize`."""
    # statistics of half precision would round after each term
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    if real is not None:
        real = real.to(wide.dtype)
    gamma, beta = statistics.norm.weight, statistics.norm.bias
    output = _BatchNormBy.apply(wide, real, gamma, beta, statistics)
    return output.to(values.dtype)


class _BatchNormBy(torch.autograd.Function):
    """``apply(values, real, gamma, beta, statistics)``; see :func:`normalize_by`."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        real: Tensor | None,
        gamma: Tensor | None,
        beta: Tensor | None,
        statistics: Statistics,
    ) -> Tensor:
        """See the class."""
        norm = statistics.norm
        number, mean, variance = statistics.moments(*_local_moments(values, real))
        if norm.running_mean is not None and norm.running_var is not None:
            # which too few objects have left as they were
            enough = number > 1
            mean = torch.where(enough, mean, norm.running_mean)
            variance = torch.where(enough, variance, norm.running_var)
        ctx.save_for_backward(values, real, gamma, number, mean, variance)
        ctx.statistics = statistics
        if not values.numel():
            return values.clone()
        # torch's own kernel, as in evaluation: the statistics are given
        return functional.batch_norm(values, mean, variance, gamma, beta, False, 0.0, norm.eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """See the class."""
        values, real, gamma, number, mean, variance = ctx.saved_tensors
        eps = ctx.statistics.norm.eps
        if values.numel():
            # the statistics are still constants here
            grad_values, grad_gamma, grad_beta = torch.ops.aten.native_batch_norm_backward(
                *(grad_output, values, gamma, mean, variance, None, None, False, eps),
                [True, True, True],
            )
        else:
            # torch's kernel divides by the number of values
            grad_values = torch.zeros_like(values)
            grad_gamma = grad_beta = torch.zeros_like(mean)
        sums = ctx.statistics.gradient_sums(grad_gamma, grad_beta)
        rate = (variance + eps).rsqrt()
        scale = rate if gamma is None else gamma * rate
        a, b = gradient_coefficients(sums, scale, rate, mean, number)
        # as functions of each real object; running statistics are none
        a, b = (torch.where(number > 1, part, 0.0) for part in (a, b))
        shape = (-1, *[1] * (values.ndim - 2))  # features are in the second dimension
        a, b = a.view(shape), b.view(shape)
        if real is not None:
            # (N, C): as products of matrices, several times quicker than by broadcasting
            with torch.autocast(values.device.type, enabled=False):
                a, b = real @ a.unsqueeze(0), real @ b.unsqueeze(0)
        grad_values.addcmul_(values, a).add_(b)
        of_gamma = grad_gamma if gamma is not None else None
        of_beta = grad_beta if gamma is not None else None
        return grad_values, None, of_gamma, of_beta, None


def gradient_coefficients(
    sums: tuple[Tensor, Tensor], scale: Tensor, rate: Tensor, mean: Tensor, number: Tensor
) -> tuple[Tensor, Tensor]:
    """(a, b), (C,) each, with which the gradient of values z is scale * grad + a * z + b.

    It is that of batch norm with mean and variance as functions of z, ordered so that an object
    needs only its own z and ``grad``, the gradient of the norm's output. ``sums``: the gradients
    of gamma and beta, over all ``number`` objects; ``rate`` is 1 / standard deviation, ``scale``
    gamma times that.
    """
    grad_gamma, grad_beta = sums
    a = -scale * rate * grad_gamma / number
    b = -scale * grad_beta / number - a * mean
    return a, b


def _local_moments(values: Tensor, real: Tensor | None) -> Moments:
    """Those of ``values`` (N, C, …); 0 without any."""
    features = values.shape[1]
    if not values.numel():
        nothing = values.new_zeros(features)
        return nothing.sum(), nothing, nothing
    if real is None:
        # filled on the device, where a number would be copied to
        number = values.new_full((), values.numel() // features)
        mean, variance = torch.batch_norm_update_stats(values, None, None, 0.0)
        return number, mean, variance
    number = real.sum()
    divisor = number.clamp(min=1)
    # products of matrices: quicker on a CPU than a product with each feature, and then a sum
    share = real.T / divisor  # (1, N)
    with torch.autocast(values.device.type, enabled=False):
        mean = (share @ values).squeeze(0)
        variance = (share @ (values - mean).square()).squeeze(0)
    return number, mean, variance


# --- the batch norms of a network


class _BatchNormOfRanks(_BatchNorm):
    """In training on several ranks, a batch norm of torch with the statistics of all of them."""

    over_ranks: NormOverRanks

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, …) -> (N, C, …)."""
        if not (self.training and is_running()):
            return super().forward(input)
        self._check_input_dim(input)
        return self.over_ranks.normalize(input)


def synchronize_norms(module: nn.Module, device: torch.device) -> None:
    """Let every batch norm of ``module`` take its statistics over all ranks, in training.

    All ranks call this with the same module. Names and values of parameters and buffers stay as
    they are.

    Raises:
        ConfigError: see :func:`check_norms`.
    """
    check_norms(module)
    for path, norm in module.named_modules():
        if not isinstance(norm, _BatchNorm):
            continue
        if not hasattr(norm, "over_ranks"):
            # the class, and not the object: whoever holds the norm has the same one, such as an
            # optimizer or a list of frozen norms
            kind = type(norm)
            norm.__class__ = type(kind.__name__, (_BatchNormOfRanks, kind), {})
        norm.over_ranks = NormOverRanks(norm, f"batch norm {path!r}", device)  # type: ignore[assignment]


def check_norms(module: nn.Module) -> None:
    """Check that the statistics of every batch norm of ``module`` can be taken over ranks.

    Raises:
        ConfigError: the class of one has a ``forward`` of its own.
    """
    of_torch = (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    for path, norm in module.named_modules():
        if not isinstance(norm, _BatchNorm) or hasattr(norm, "over_ranks"):
            continue
        if type(norm).forward not in of_torch:
            raise ConfigError(
                f"--sync-batchnorm: {path} is a {type(norm).__name__}, a batch norm with a forward "
                "of its own, whose statistics cannot be those of all ranks; expected nn.BatchNorm1d"
                ", 2d or 3d of torch, or ObjectNorm of weaver_tt.api"
            )
