"""Gradients averaged over ranks while the backward pass still goes on.

Gradients become ready from the last layer to the first. They are collected in buckets in that
order, and a bucket is sent off as soon as it is full, on connections of its own: what ranks say to
each other before a step (:mod:`weaver_tt.system.distributed`) need not wait for it. All ranks send
the same buckets in the same order, whichever parameters a batch has reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as torch_dist
from torch import Tensor, nn

from weaver_tt.errors import TrainingError
from weaver_tt.system import distributed

# large enough that the time of a message is that of its bytes, small enough that most of them
# travel before the backward pass has ended; small networks have one message, at its end
BUCKET_BYTES = 2 * 2**20


@dataclass
class _Bucket:
    """Gradients that travel as one message."""

    parameters: list[nn.Parameter]
    message: Tensor  # all of them, flat
    slots: list[Tensor]  # the part of each, in its shape
    missing: set[int] = field(default_factory=set)  # places of gradients that are not there yet
    work: torch_dist.Work | None = None


class GradientExchange:
    """Replaces every gradient by ``sum_ranks(scale * gradient) / sum_ranks(scale)``.

    ``scale`` () is what the batches of a rank count for: the sum of |weight| that their loss was
    divided by, 0 on a rank without a batch. A gradient that a rank does not have counts as zero;
    those of earlier backward passes, which have been added up, count with the last one's.

    ``are_weighted``: the loss has been multiplied by ``scale``, and its gradients with it.
    ``overlap``: messages travel while the backward pass goes on; without it, after it.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        are_weighted: bool = False,
        overlap: bool = True,
    ) -> None:
        self._are_weighted = are_weighted
        self._overlap = overlap
        self._buckets = _fill_buckets(parameters)
        # of what all batches count for
        self._total = torch.zeros((), device=parameters[0].device)
        self._total_work: torch_dist.Work | None = None
        self._scale = torch.zeros(())
        self._begun = False
        self._sent = 0  # buckets
        for number, bucket in enumerate(self._buckets):
            for place, parameter in enumerate(bucket.parameters):
                self._listen(parameter, number, place)

    def _listen(self, parameter: nn.Parameter, number: int, place: int) -> None:
        def take(ready: Tensor) -> None:
            if self._begun:
                self._take(number, place, ready)

        parameter.register_post_accumulate_grad_hook(take)

    def begin(self, scale: Tensor) -> None:
        """The next backward pass completes gradients that count for ``scale`` ()."""
        self._scale = torch.ones_like(scale) if self._are_weighted else scale
        self._begun = True
        self._sent = 0
        for bucket in self._buckets:
            bucket.missing = set(range(len(bucket.parameters)))
            bucket.work = None
        self._total.copy_(scale)
        self._total_work = distributed.start_sum(self._total) if self._overlap else None

    def _take(self, number: int, place: int, parameter: Tensor) -> None:
        """Put the gradient of a parameter into its bucket; send what is full, in order."""
        bucket = self._buckets[number]
        if bucket.work is not None:
            raise TrainingError(
                "on several ranks, the gradient of a parameter must be complete when it is there "
                "first (checkpoint with use_reentrant=True adds to it later)"
            )
        assert parameter.grad is not None
        torch.mul(parameter.grad, self._scale, out=bucket.slots[place])
        bucket.missing.discard(place)
        if not self._overlap:
            return
        while self._sent < len(self._buckets) and not self._buckets[self._sent].missing:
            self._send()

    def _send(self) -> None:
        """Send the next bucket."""
        bucket = self._buckets[self._sent]
        for place in bucket.missing:
            # what the last backward pass has not reached, an earlier one may have
            gradient = bucket.parameters[place].grad
            if gradient is None:
                bucket.slots[place].zero_()
            else:
                torch.mul(gradient, self._scale, out=bucket.slots[place])
        self._sent += 1
        bucket.work = distributed.start_sum(bucket.message)

    def finish(self) -> None:
        """After the backward pass, when all ranks have agreed on the step: the averages."""
        if self._total_work is None:
            self._total_work = distributed.start_sum(self._total)
        while self._sent < len(self._buckets):
            self._send()
        self._begun = False
        distributed.wait_for_sum(self._total_work)
        divisor = self._total.clamp(min=torch.finfo(self._total.dtype).tiny)
        for bucket in self._buckets:
            distributed.wait_for_sum(bucket.work)
            bucket.message /= divisor
            for parameter, slot in zip(bucket.parameters, bucket.slots, strict=True):
                parameter.grad = slot.to(parameter.dtype)


def _fill_buckets(parameters: Sequence[nn.Parameter]) -> list[_Bucket]:
    """The parameters from the last to the first, in buckets of one type each."""
    groups: list[list[nn.Parameter]] = []
    room = 0
    for parameter in reversed(parameters):
        size = parameter.numel() * parameter.element_size()
        if not groups or size > room or parameter.dtype != groups[-1][-1].dtype:
            groups.append([])
            room = BUCKET_BYTES
        groups[-1].append(parameter)
        room -= size
    return [_make_bucket(members) for members in groups]


def _make_bucket(parameters: list[nn.Parameter]) -> _Bucket:
    sizes = [parameter.numel() for parameter in parameters]
    # sums of many batches, also of weights of half precision
    dtype = torch.promote_types(parameters[0].dtype, torch.float32)
    message = torch.zeros(sum(sizes), dtype=dtype, device=parameters[0].device)
    parts = zip(parameters, message.split(sizes), strict=True)
    return _Bucket(parameters, message, [part.view_as(parameter) for parameter, part in parts])
